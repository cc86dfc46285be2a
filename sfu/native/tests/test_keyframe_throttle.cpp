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
  CHECK_EQ(sent, 4);  // 0, 0.5, 1 and 2 s: ever more slowly
}

TEST(a_publisher_that_heeds_nothing_is_asked_every_two_seconds) {
  KeyframeThrottle throttle;
  int sent = 0;
  for (TimeNs now = 0; now < 60 * kSecond; now += kMs) {
    sent += throttle.request(now) ? 1 : 0;
    sent += throttle.tick(now) ? 1 : 0;
  }
  CHECK(sent >= 30 && sent <= 33);
  throttle.receive_keyframe(60 * kSecond);
  CHECK(throttle.request(61 * kSecond));
  CHECK_EQ(throttle.deadline(), 61 * kSecond + 500 * kMs);
}

TEST(a_lost_request_is_repeated_after_half_a_second) {
  KeyframeThrottle throttle;
  CHECK(throttle.request(0));
  CHECK(!throttle.tick(499 * kMs));
  CHECK(throttle.tick(500 * kMs));
  CHECK(throttle.tick(kSecond));
  throttle.receive_keyframe(1100 * kMs);
  CHECK(!throttle.is_waiting());
}

// A thousand subscribers come within a second; the publisher answers each request after 80 ms with a keyframe that
// takes 30 ms to arrive, and whoever was there at its start has it.
TEST(a_thousand_joins_cost_two_keyframes_a_second_and_everyone_gets_one) {
  KeyframeThrottle throttle;
  constexpr TimeNs kAnswer = 80 * kMs;
  constexpr int kJoins = 1000;
  TimeNs due = kNever;
  int joined = 0;
  int served = 0;
  int sent = 0;
  TimeNs all_served = 0;
  for (TimeNs now = 0; now < 5 * kSecond && served < kJoins; now += kMs) {
    bool asks = throttle.tick(now);
    if (joined < kJoins) {
      ++joined;
      asks = throttle.request(now) || asks;
    }
    if (asks) {
      ++sent;
      due = now + kAnswer;
    }
    if (now == due) {
      throttle.receive_keyframe(now);
      served = joined;
      due = kNever;
    }
    if (served < joined && !throttle.is_waiting() && throttle.request(now)) {  // whoever still waits says so
      ++sent;
      due = now + kAnswer;
    }
    all_served = now;
  }
  CHECK_EQ(served, kJoins);
  CHECK(sent <= 4);
  CHECK(all_served <= 1600 * kMs);
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
