// Which checks were answered under one set of credentials, so that a copy from elsewhere is known as one: all of the
// last hours, in fixed memory. A check is never forgotten while it counts; now and then a new one is taken for a copy,
// and then the peer's next one serves. Pure: no I/O. Thread: the owner's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace parley {

// Two Bloom filters: when one is full it becomes the older one, and what the older one held goes.
class CheckMemory {
 public:
  // Checks that are remembered at least; three hours of a browser that checks each 2.5 s. Twice as many at most.
  static constexpr std::size_t kChecks = 4096;

  // `name`: eight bytes of a transaction id, which is random.
  void remember(std::uint64_t name) {
    if (newer_ == nullptr) {
      newer_ = std::make_unique<Filter>();
    }
    if (newer_->count == kChecks) {
      if (older_ == nullptr) {
        older_ = std::make_unique<Filter>();
      }
      std::swap(newer_, older_);
      *newer_ = Filter{};
    }
    newer_->add(mixed(name));
  }
  [[nodiscard]] bool knows(std::uint64_t name) const {
    const std::uint64_t hash = mixed(name);
    return (newer_ != nullptr && newer_->has(hash)) || (older_ != nullptr && older_->has(hash));
  }

 private:
  struct Filter {
    static constexpr unsigned kIndexBits = 15;  // eight bits for each check: 3 in 100 new ones look known
    static constexpr unsigned kHashes = 3;

    std::array<std::uint64_t, (std::size_t{1} << kIndexBits) / 64> bits{};
    std::size_t count = 0;

    void add(std::uint64_t hash) {
      ++count;
      for (unsigned part = 0; part < kHashes; ++part, hash >>= kIndexBits) {
        bits[word(hash)] |= bit(hash);
      }
    }
    [[nodiscard]] bool has(std::uint64_t hash) const {
      for (unsigned part = 0; part < kHashes; ++part, hash >>= kIndexBits) {
        if ((bits[word(hash)] & bit(hash)) == 0) {
          return false;
        }
      }
      return true;
    }
    static std::size_t word(std::uint64_t hash) { return (hash & ((1U << kIndexBits) - 1)) / 64; }
    static std::uint64_t bit(std::uint64_t hash) { return std::uint64_t{1} << (hash % 64); }
  };

  // Browsers draw their ids from a few characters: every bit of the hash depends on every bit of the name.
  static std::uint64_t mixed(std::uint64_t name) {
    name = (name ^ (name >> 33)) * 0xff51afd7ed558ccd;
    name = (name ^ (name >> 33)) * 0xc4ceb9fe1a85ec53;
    return name ^ (name >> 33);
  }

  std::unique_ptr<Filter> newer_;
  std::unique_ptr<Filter> older_;
};

}  // namespace parley
