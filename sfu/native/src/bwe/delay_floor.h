// How far packets' delay lies above the shortest one seen of late: the queue, as far as it can be told without common
// clocks. The floor is the least of two windows, so that a longer route is believed after a while.
// Thread: the worker that owns the transport.
#pragma once

#include <algorithm>
#include <limits>

#include "units.h"

namespace parley {

class DelayFloor {
 public:
  explicit DelayFloor(TimeNs window) : window_(window) {}

  // A packet took `delay` (any constant added, the clocks differ); how far that lies above the floor.
  TimeNs receive(TimeNs delay, TimeNs now) {
    if (now - started_ >= window_) {
      before_ = now - started_ >= 2 * window_ ? kNever : current_;
      current_ = kNever;
      started_ = now;
    }
    current_ = std::min(current_, delay);
    const TimeNs above = delay - std::min(current_, before_);
    above_ += (above - above_) / 8;
    return above;
  }

  // Smoothed over some packets.
  [[nodiscard]] TimeNs above() const { return above_; }

 private:
  TimeNs window_;
  TimeNs current_ = kNever;
  TimeNs before_ = kNever;
  TimeNs started_ = 0;
  TimeNs above_ = 0;
};

}  // namespace parley
