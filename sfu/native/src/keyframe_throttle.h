// One keyframe request outstanding per encoding: coalesced over subscribers, at least 500 ms apart, repeated until a
// keyframe arrives, ever more slowly to a publisher that does not heed them.
// Thread: the worker that owns the track. Source: RFC 4585 section 6.3.1, RFC 5104 section 4.3.1.
#pragma once

#include <cstdint>

#include "units.h"

namespace parley {

struct KeyframeConfig {
  TimeNs min_interval = 500 * kMillisecond;
  TimeNs retry_interval = 500 * kMillisecond;  // an unanswered request is repeated; twice as late from the third on
  TimeNs max_retry_interval = 2 * kSecond;
  std::uint8_t max_retries = 10;  // then it waits for the next `request`
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
  void note_sent(TimeNs now);

  KeyframeConfig config_;
  TimeNs last_sent_ = 0;
  TimeNs next_ = 0;  // no request goes out earlier
  TimeNs last_keyframe_ = 0;
  TimeNs deadline_ = kNever;
  std::uint8_t retries_ = 0;
  std::uint32_t unanswered_ = 0;  // requests since the last keyframe
};

}  // namespace parley
