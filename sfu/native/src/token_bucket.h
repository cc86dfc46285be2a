// A rate limit: so many units a second, with a burst.
// Thread: one owner.
#pragma once

#include <algorithm>
#include <cstdint>

#include "units.h"

namespace parley {

class TokenBucket {
 public:
  // `rate_per_s` and `burst` in the caller's unit (packets, bytes); both at least 1. Starts full.
  constexpr TokenBucket(std::int64_t rate_per_s, std::int64_t burst)
      : rate_per_s_(rate_per_s), burst_(burst), tokens_(burst) {}

  // True when `count` fit, and takes them; otherwise takes nothing. A clock that stands or runs back adds nothing.
  bool take(std::int64_t count, TimeNs now) {
    refill(now);
    if (count > tokens_) {
      return false;
    }
    tokens_ -= count;
    return true;
  }

  [[nodiscard]] std::int64_t available(TimeNs now) {
    refill(now);
    return tokens_;
  }

 private:
  void refill(TimeNs now) {
    if (!started_ || now < last_) {
      started_ = true;
      last_ = now;
      return;
    }
    // A bucket idle for longer than it takes to fill is full; this also keeps the product below within 64 bits.
    const TimeNs elapsed = now - last_;
    if (elapsed / kSecond > burst_ / rate_per_s_) {
      tokens_ = burst_;
      last_ = now;
      return;
    }
    const std::int64_t whole_s = elapsed / kSecond;
    const std::int64_t added = whole_s * rate_per_s_ + (elapsed % kSecond) * rate_per_s_ / kSecond;
    if (added > 0) {
      tokens_ = std::min(burst_, tokens_ + added);
      // Only the time that became tokens is spent: slow rates do not lose their fractions.
      last_ += whole_s * kSecond + (added - whole_s * rate_per_s_) * kSecond / rate_per_s_;
    }
  }

  std::int64_t rate_per_s_;
  std::int64_t burst_;
  std::int64_t tokens_;
  TimeNs last_ = 0;
  bool started_ = false;
};

}  // namespace parley
