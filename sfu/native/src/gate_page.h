// The shared page of consent gates: one u64 per slot, `version << 1 | open`, mapped by every consumer process.
// Thread: any; each slot is one atomic word.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "units.h"

namespace parley {

// Where a forward or a tap stands: packets pass while the slot holds exactly this version, open.
struct GatePosition {
  std::uint32_t slot = 0;  // 0: governed by permission alone, always open
  std::uint64_t version = 0;

  friend bool operator==(const GatePosition&, const GatePosition&) = default;
};

class GatePage {
 public:
  GatePage() = default;
  GatePage(const GatePage&) = delete;
  GatePage& operator=(const GatePage&) = delete;
  ~GatePage();

  // Maps `slots` words of the memfd. Returns why not, empty when it worked. The descriptor stays the caller's.
  std::string map(int fd, std::uint32_t slots);

  [[nodiscard]] std::uint32_t slots() const { return slots_; }
  [[nodiscard]] bool is_valid(std::uint32_t slot) const { return slot != 0 && slot < slots_; }

  // Both return false for a slot outside the page (and for the reserved slot 0). `at`: what arrived until then does not
  // pass, though it may wait for its batch.
  bool open(std::uint32_t slot, std::uint64_t version, TimeNs at = 0);
  bool close(std::uint32_t slot, std::uint64_t version);

  // When the gate was opened, of one that is open; 0 for what permission alone governs.
  [[nodiscard]] TimeNs opened_at(GatePosition at) const {
    return at.slot >= slots_ ? 0 : std::atomic_ref<TimeNs>(opened_[at.slot]).load(std::memory_order_relaxed);
  }

  [[nodiscard]] bool is_open(GatePosition at) const {
    if (at.slot == 0) {
      return true;
    }
    if (at.slot >= slots_) {
      return false;
    }
    return word(at.slot).load(std::memory_order_acquire) == ((at.version << 1) | 1);
  }

 private:
  [[nodiscard]] std::atomic_ref<std::uint64_t> word(std::uint32_t slot) const {
    return std::atomic_ref<std::uint64_t>(words_[slot]);
  }

  std::uint64_t* words_ = nullptr;
  TimeNs* opened_ = nullptr;  // of this process alone
  std::uint32_t slots_ = 0;
};

}  // namespace parley
