#include "keyframe_throttle.h"

#include "check.h"

using namespace parley;

namespace {
constexpr TimeNs kMs = kMillisecond;
}

TEST(first_request_goes_out_at_once) {
  KeyframeThrottle throttle;
  CHECK(!throttle.is_waiting());
  CHECK(throttle.request(0));
  CHECK(throttle.is_waiting());
}

TEST(requests_in_between_are_one) {
  KeyframeThrottle throttle;
  int sent = 0;
  // A thousand requests a second, and no keyframe ever.
  for (TimeNs now = 0; now < 4 * kSecond; now += kMs) {
    sent += throttle.request(now) ? 1 : 0;
    sent += throttle.tick(now) ? 1 : 0;
  }
  CHECK(sent >= 7 && sent <= 8);
}

TEST(keyframe_answers_every_request) {
  KeyframeThrottle throttle;
  throttle.request(0);
  throttle.request(10 * kMs);
  throttle.receive_keyframe(100 * kMs);
  CHECK_EQ(throttle.last_keyframe(), 100 * kMs);
  CHECK_EQ(throttle.deadline(), kNever);
  CHECK(!throttle.tick(10 * kSecond));
}

TEST(request_soon_after_the_last_is_put_off) {
  KeyframeThrottle throttle;
  throttle.request(0);
  throttle.receive_keyframe(100 * kMs);
  CHECK(!throttle.request(200 * kMs));
  CHECK_EQ(throttle.deadline(), 500 * kMs);
  CHECK(!throttle.tick(499 * kMs));
  CHECK(throttle.tick(500 * kMs));
  CHECK(!throttle.request(501 * kMs));
}

TEST(keyframe_that_comes_anyway_answers_a_request_put_off) {
  KeyframeThrottle throttle;
  throttle.request(0);
  throttle.receive_keyframe(100 * kMs);
  throttle.request(200 * kMs);
  throttle.receive_keyframe(300 * kMs);
  CHECK(!throttle.tick(kSecond));
}

TEST(unanswered_requests_are_given_up_in_the_end) {
  KeyframeThrottle throttle({.max_retries = 3});
  throttle.request(0);
  int repeats = 0;
  for (TimeNs now = 0; now < 60 * kSecond; now += 10 * kMs) {
    repeats += throttle.tick(now) ? 1 : 0;
  }
  CHECK_EQ(repeats, 3);
  CHECK(!throttle.is_waiting());
  CHECK(throttle.request(60 * kSecond));
}
