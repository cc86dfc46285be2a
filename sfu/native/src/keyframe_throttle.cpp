#include "keyframe_throttle.h"

namespace parley {

bool KeyframeThrottle::request(TimeNs now) {
  if (is_waiting()) {
    return false;
  }
  retries_ = 0;
  // A request within min_interval of the last is put off: one keyframe serves every subscriber (RFC 4585 section 6.3.1).
  if (has_sent_ && now - last_sent_ < config_.min_interval) {
    deadline_ = last_sent_ + config_.min_interval;
    return false;
  }
  has_sent_ = true;
  last_sent_ = now;
  deadline_ = now + config_.retry_interval;
  return true;
}

void KeyframeThrottle::receive_keyframe(TimeNs now) {
  last_keyframe_ = now;
  deadline_ = kNever;
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
  last_sent_ = now;
  deadline_ = now + config_.retry_interval;
  return true;
}

}  // namespace parley
