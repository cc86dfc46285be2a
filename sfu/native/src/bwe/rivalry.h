// Whether others keep up the queue on the path. What one sender alone filled drains as soon as it sends less than the
// path was seen to deliver; a queue that several cuts in a row leave standing is not its own, and to yield further
// would leave the path to whoever does not. Thread: the worker that owns the transport.
#pragma once

#include <algorithm>
#include <cstdint>

#include "bwe/busy_rate.h"
#include "units.h"

namespace parley {

class Rivalry {
 public:
  static constexpr int kInVain = 2;                      // cuts in a row
  static constexpr TimeNs kTelling = 40 * kMillisecond;  // so much at least must have been due to drain

  // A packet of `bytes` left.
  void sent(std::uint32_t bytes) { sent_bytes_ += bytes; }
  // A packet arrived that had waited `above` the shortest delay.
  void receive(TimeNs above) {
    if (above < BusyRate::kQueued) {
      end();
    }
  }
  // The rate is cut, since a queue `above` long is there on a path that delivers `path_bps`.
  void cut(double path_bps, TimeNs above, TimeNs now) {
    const double carried_s = static_cast<double>(sent_bytes_) * 8 / std::max(path_bps_, 1.0);
    const TimeNs due = now - cut_at_ - static_cast<TimeNs>(carried_s * static_cast<double>(kSecond));
    if (cut_at_ != 0 && due >= kTelling) {
      in_vain_ = above > above_ - due / 2 ? in_vain_ + 1 : 0;
    }
    cut_at_ = now;
    path_bps_ = path_bps;
    above_ = above;
    sent_bytes_ = 0;
  }
  // The queue was empty, or overflowed: others will have yielded too, and it is to be seen anew whose the next one is.
  void end() {
    in_vain_ = 0;
    cut_at_ = 0;
  }

  [[nodiscard]] bool is_on() const { return in_vain_ >= kInVain; }
  // The queue when it was found to be others'.
  [[nodiscard]] TimeNs above() const { return above_; }

 private:
  std::uint64_t sent_bytes_ = 0;  // since the last cut
  double path_bps_ = 0;           // at that cut, as the queue
  TimeNs above_ = 0;
  TimeNs cut_at_ = 0;  // 0: none since the queue was last empty
  int in_vain_ = 0;
};

}  // namespace parley
