// One keyframe request outstanding per encoding: coalesced over subscribers, at least 500 ms apart, repeated until a
// keyframe arrives.
// Thread: the worker that owns the track. Source: RFC 4585 section 6.3.1, RFC 5104 section 4.3.1.
#pragma once

#include <cstdint>

#include "units.h"

namespace parley {

struct KeyframeConfig {
  TimeNs min_interval = 500 * kMillisecond;
  TimeNs retry_interval = 500 * kMillisecond;  // an unanswered request is repeated
  std::uint8_t max_retries = 10;        // then it waits for the next `request`
};

class KeyframeThrottle {
 public:
  explicit KeyframeThrottle(const KeyframeConfig& config = {}) : config_(config) {}

  // Somebody needs a keyframe. True: send the PLI now. False: one is on its way or scheduled (see `deadline`).
  bool request(TimeNs now);
  // A keyframe arrived: every request is answered, also one that was scheduled.
  void receive_keyframe(TimeNs now);
  // True: send the PLI now (a scheduled or repeated one).
  bool tick(TimeNs now);
  [[nodiscard]] TimeNs deadline() const { return deadline_; }
  [[nodiscard]] TimeNs last_keyframe() const { return last_keyframe_; }  // 0: none yet
  [[nodiscard]] bool is_waiting() const { return deadline_ != kNever; }

 private:
  KeyframeConfig config_;
  TimeNs last_sent_ = 0;
  TimeNs last_keyframe_ = 0;
  TimeNs deadline_ = kNever;
  std::uint8_t retries_ = 0;
  bool has_sent_ = false;
};

}  // namespace parley
