#include "encoding_activity.h"

#include "check.h"

using namespace parley;

TEST(encodings_come_and_go) {
  EncodingActivity activity(500 * kMillisecond);
  CHECK(activity.receive(0, 0));
  CHECK(!activity.receive(0, 100 * kMillisecond));
  CHECK(activity.receive(2, 100 * kMillisecond));
  CHECK_EQ(activity.active(), 0b101U);
  CHECK(!activity.tick(600 * kMillisecond));
  activity.receive(2, 600 * kMillisecond);
  CHECK(activity.tick(601 * kMillisecond));
  CHECK_EQ(activity.active(), 0b100U);
  CHECK(!activity.tick(602 * kMillisecond));
  CHECK(activity.receive(0, 700 * kMillisecond));
}

TEST(encodings_beyond_the_bound_are_ignored) {
  EncodingActivity activity;
  CHECK(!activity.receive(kMaxEncodings, 0));
  CHECK_EQ(activity.active(), 0U);
}
