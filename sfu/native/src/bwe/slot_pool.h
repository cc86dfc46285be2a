// Fixed slots for packets that wait to leave; memory comes in blocks, as many as were ever needed at once, up to a
// bound. Thread: the worker that owns it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "gate_page.h"
#include "packet.h"
#include "rtp_write.h"

namespace parley {

// What must hold when the packet leaves at last, and what is written into it then.
struct HeldPacket {
  std::uint32_t forward = 0;
  GatePosition gate;
  StampOffsets stamps;
};

class SlotPool {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;
  static constexpr std::uint32_t kBlock = 64;

  explicit SlotPool(std::uint32_t max_slots) : max_slots_(max_slots) {}

  struct Slot {
    std::array<std::uint8_t, kMaxPacketSize> bytes;
    std::uint32_t next = kNone;
    std::uint16_t size = 0;
    HeldPacket held;
  };

  // A free slot, or kNone when all are taken.
  [[nodiscard]] std::uint32_t claim() {
    if (free_ == kNone && !grow()) {
      return kNone;
    }
    const std::uint32_t index = free_;
    free_ = at(index).next;
    at(index).next = kNone;
    ++taken_;
    return index;
  }
  void release(std::uint32_t index) {
    at(index).next = free_;
    free_ = index;
    --taken_;
  }
  [[nodiscard]] Slot& at(std::uint32_t index) { return blocks_[index / kBlock][index % kBlock]; }
  [[nodiscard]] std::uint32_t taken() const { return taken_; }

 private:
  bool grow() {
    const auto slots = static_cast<std::uint32_t>(blocks_.size()) * kBlock;
    if (slots + kBlock > max_slots_) {
      return false;
    }
    blocks_.push_back(std::make_unique<Slot[]>(kBlock));
    for (std::uint32_t index = slots + kBlock; index-- > slots;) {
      at(index).next = free_;
      free_ = index;
    }
    return true;
  }

  std::uint32_t max_slots_;
  std::uint32_t free_ = kNone;
  std::uint32_t taken_ = 0;
  std::vector<std::unique_ptr<Slot[]>> blocks_;
};

}  // namespace parley
