// Which of a worker's numbered links have something for it: set by other workers, taken by the one that owns it.
// Two levels of bits, so that a look at thousands of quiet links costs one load.
// Thread: mark from any; take from the owner.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace parley {

class ReadySet {
 public:
  static constexpr std::size_t kSlots = 4096;

  // After the work behind `slot` was published.
  void mark(std::uint32_t slot) {
    words_[slot / kBits].fetch_or(std::uint64_t{1} << (slot % kBits), std::memory_order_acq_rel);
    summary_.fetch_or(std::uint64_t{1} << (slot / kBits), std::memory_order_acq_rel);
  }

  [[nodiscard]] bool is_empty() const { return summary_.load(std::memory_order_relaxed) == 0; }

  // Calls `visit(slot)` once for each marked slot, lowest first; whoever marks meanwhile is found next time.
  template <typename Visit>
  void take(Visit&& visit) {
    std::uint64_t summary = summary_.exchange(0, std::memory_order_acq_rel);
    for (; summary != 0; summary &= summary - 1) {
      const auto word = static_cast<std::uint32_t>(std::countr_zero(summary));
      std::uint64_t bits = words_[word].exchange(0, std::memory_order_acq_rel);
      for (; bits != 0; bits &= bits - 1) {
        visit(word * kBits + static_cast<std::uint32_t>(std::countr_zero(bits)));
      }
    }
  }

 private:
  static constexpr std::uint32_t kBits = 64;

  std::array<std::atomic<std::uint64_t>, kSlots / kBits> words_{};
  alignas(64) std::atomic<std::uint64_t> summary_{0};
};

}  // namespace parley
