// Spreads one viewer's video over time, so that a keyframe does not fill the path's queue: what comes faster than the
// pacing rate waits here, oldest first.
// Thread: the worker that owns the transport.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "bwe/slot_pool.h"
#include "units.h"

namespace parley {

class Pacer {
 public:
  static constexpr double kFactor = 1.5;  // of the estimate
  // What may leave at once, as far as nothing left lately: a usual frame where the path has room to spare, half of one
  // where it has none.
  static constexpr TimeNs kBurst = 20 * kMillisecond;
  static constexpr TimeNs kMaxDelay = 400 * kMillisecond;  // a longer queue leaves faster
  static constexpr std::uint32_t kMaxBytes = 2 * 1024 * 1024;

  void set_estimate(double bps) { rate_ = bps * kFactor; }

  // Whether a packet of `bytes` may leave now, ahead of nothing that waits. If so it is paid for.
  bool may_send(std::size_t bytes, TimeNs now) {
    if (head_ != SlotPool::kNone || now < next_at_) {
      return false;
    }
    spend(bytes, now);
    return true;
  }
  // Audio never waits, but what it takes is missing for video, for a while: sound that needs more than the path is
  // thought to carry leaves no debt that outlasts that.
  void spend(std::size_t bytes, TimeNs now) {
    const double seconds = static_cast<double>(bytes) * 8 / rate();
    const TimeNs paid = std::max(next_at_, now - kBurst) + static_cast<TimeNs>(seconds * static_cast<double>(kSecond));
    next_at_ = std::min(paid, now + kMaxDelay);
  }

  // Whether this viewer's queue takes so much more.
  [[nodiscard]] bool has_room(std::size_t bytes) const {
    return bytes <= kMaxPacketSize && queued_ + bytes <= kMaxBytes;
  }

  // The packet waits; false when there is no room for it, here or in the pool.
  bool push(SlotPool& pool, std::span<const std::uint8_t> packet, const HeldPacket& held) {
    if (!has_room(packet.size())) {
      return false;
    }
    const std::uint32_t index = pool.claim();
    if (index == SlotPool::kNone) {
      return false;
    }
    SlotPool::Slot& slot = pool.at(index);
    std::ranges::copy(packet, slot.bytes.begin());
    slot.size = static_cast<std::uint16_t>(packet.size());
    slot.held = held;
    (head_ == SlotPool::kNone ? head_ : pool.at(tail_).next) = index;
    tail_ = index;
    queued_ += slot.size;
    return true;
  }

  // The next packet that may leave now, paid for; the caller releases it. kNone: none, or not yet.
  [[nodiscard]] std::uint32_t pop(SlotPool& pool, TimeNs now) {
    if (head_ == SlotPool::kNone || now < next_at_) {
      return SlotPool::kNone;
    }
    const std::uint32_t index = take(pool);
    spend(pool.at(index).size, now);
    return index;
  }
  void clear(SlotPool& pool) {
    while (head_ != SlotPool::kNone) {
      pool.release(take(pool));
    }
  }

  [[nodiscard]] bool is_empty() const { return head_ == SlotPool::kNone; }
  [[nodiscard]] std::uint32_t queued_bytes() const { return queued_; }
  [[nodiscard]] TimeNs deadline() const { return is_empty() ? kNever : next_at_; }

 private:
  // What waits is gone within kMaxDelay.
  [[nodiscard]] double rate() const {
    const double needed =
        static_cast<double>(queued_) * 8 * static_cast<double>(kSecond) / static_cast<double>(kMaxDelay);
    return std::max({rate_, needed, 1.0});
  }
  std::uint32_t take(SlotPool& pool) {
    const std::uint32_t index = head_;
    head_ = pool.at(index).next;
    queued_ -= pool.at(index).size;
    return index;
  }

  double rate_ = 2'000'000;
  TimeNs next_at_ = 0;
  std::uint32_t head_ = SlotPool::kNone;
  std::uint32_t tail_ = SlotPool::kNone;
  std::uint32_t queued_ = 0;
};

}  // namespace parley
