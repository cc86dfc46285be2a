#include "token_bucket.h"

#include "check.h"

using namespace parley;

TEST(burst_then_rate) {
  TokenBucket bucket(10, 5);
  for (int i = 0; i < 5; ++i) {
    CHECK(bucket.take(1, 0));
  }
  CHECK(!bucket.take(1, 0));
  CHECK(!bucket.take(1, 99 * kMillisecond));
  CHECK(bucket.take(1, 100 * kMillisecond));
  CHECK(!bucket.take(1, 100 * kMillisecond));
}

TEST(slow_rates_keep_their_fractions) {
  TokenBucket bucket(3, 1);
  CHECK(bucket.take(1, 0));
  int taken = 0;
  for (int ms = 1; ms <= 10'000; ++ms) {
    taken += bucket.take(1, ms * kMillisecond) ? 1 : 0;
  }
  CHECK(taken >= 29 && taken <= 30);
}

TEST(idle_bucket_fills_to_its_burst_only) {
  TokenBucket bucket(1'000'000'000, 1500);
  CHECK(bucket.take(1500, 1));
  CHECK_EQ(bucket.available(INT64_MAX / 2), 1500);
}

TEST(clock_running_back_adds_nothing) {
  TokenBucket bucket(10, 2);
  CHECK(bucket.take(2, kSecond));
  CHECK(!bucket.take(1, 0));
  CHECK(bucket.take(1, 100 * kMillisecond));
}

TEST(too_much_at_once_takes_nothing) {
  TokenBucket bucket(10, 5);
  CHECK(!bucket.take(6, 0));
  CHECK(bucket.take(5, 0));
}
