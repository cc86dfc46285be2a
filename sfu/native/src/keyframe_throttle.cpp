#include "keyframe_throttle.h"

#include <algorithm>

namespace parley {

bool KeyframeThrottle::request(TimeNs now) {
  if (is_waiting()) {
    return false;
  }
  retries_ = 0;
  // A request too soon after the last is put off: one keyframe serves every subscriber (RFC 4585 section 6.3.1).
  if (now < next_) {
    deadline_ = next_;
    return false;
  }
  note_sent(now);
  return true;
}

void KeyframeThrottle::receive_keyframe(TimeNs now) {
  last_keyframe_ = now;
  deadline_ = kNever;
  if (unanswered_ > 0) {
    unanswered_ = 0;
    next_ = last_sent_ + config_.min_interval;
  }
}

bool KeyframeThrottle::tick(TimeNs now) {
  if (now < deadline_) {
    return false;
  }
  if (retries_ == config_.max_retries) {
    deadline_ = kNever;
    return false;
  }
  ++retries_;
  note_sent(now);
  return true;
}

void KeyframeThrottle::note_sent(TimeNs now) {
  ++unanswered_;
  last_sent_ = now;
  TimeNs wait = config_.retry_interval;
  for (std::uint32_t count = 2; count < unanswered_ && wait < config_.max_retry_interval; ++count) {
    wait *= 2;
  }
  next_ = deadline_ = now + std::clamp(wait, config_.min_interval, config_.max_retry_interval);
}

}  // namespace parley
