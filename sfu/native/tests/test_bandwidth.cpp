#include <iostream>

#include "bandwidth_path.h"
#include "check.h"

using namespace parley;
using test::BandwidthPath;
using test::PathConfig;

namespace {

void print(const char* what, BandwidthPath& path) {
  std::cerr << what << ": " << static_cast<int>(path.estimator.bps() / 1000) << " kb/s, used "
            << static_cast<int>(path.used() * 100) << " %, queue p95 " << path.queueing_p95() / kMillisecond << " ms\n";
}

}  // namespace

TEST(a_bottleneck_is_used_without_a_standing_queue) {
  for (const TimeNs one_way : {5 * kMillisecond, 50 * kMillisecond, 100 * kMillisecond}) {
    BandwidthPath path(PathConfig{.bps = 1'000'000, .one_way = one_way});
    path.run(10 * kSecond, 4'000'000);
    path.count_anew();
    path.run(60 * kSecond, 4'000'000);
    print("1 Mb/s", path);
    CHECK(path.used() >= 0.85);
    CHECK(path.queueing_p95() <= 100 * kMillisecond);
  }
}

TEST(a_wide_path_is_found_within_seconds) {
  BandwidthPath path(PathConfig{.bps = 20'000'000});
  path.run(3 * kSecond, 5'000'000);
  print("20 Mb/s, 5 wanted", path);
  CHECK(path.estimator.bps() >= 5'000'000);
}

TEST(a_drop_is_followed_and_the_way_back_found) {
  BandwidthPath path(PathConfig{.bps = 3'000'000});
  path.run(20 * kSecond, 2'500'000);
  CHECK(path.estimator.bps() >= 2'400'000);
  path.count_anew();
  path.path.bps = 1'000'000;
  path.run(3 * kSecond, 2'500'000);
  print("3 -> 1 Mb/s", path);
  CHECK(path.lost() <= 0.02);
  CHECK(path.estimator.bps() <= 1'050'000);
  path.count_anew();
  path.run(20 * kSecond, 2'500'000);
  print("at 1 Mb/s", path);
  CHECK(path.used() >= 0.85);
  CHECK(path.queueing_p95() <= 100 * kMillisecond);
  path.path.bps = 3'000'000;
  path.run(10 * kSecond, 2'500'000);
  print("1 -> 3 Mb/s", path);
  CHECK(path.estimator.bps() >= 2'000'000);
}

TEST(a_path_that_carries_less_than_what_is_sent_is_seen_at_once) {
  // A camera that does not follow the estimate, as a viewer's layer does not until it is changed.
  constexpr TimeNs kFrame = 50 * kMillisecond;
  for (const TimeNs one_way : {5 * kMillisecond, 20 * kMillisecond, 50 * kMillisecond}) {
    for (const double sent_bps : {1'200'000.0, 1'700'000.0, 2'200'000.0}) {
      BandwidthPath path(PathConfig{.bps = 3'000'000, .one_way = one_way});
      path.run_frames(10 * kSecond, sent_bps, 20, 2'500'000);
      path.path.bps = 1'000'000;
      TimeNs taken = 0;
      for (; path.estimator.bps() > 1'100'000 && taken < 2 * kSecond; taken += kFrame) {
        path.run_frames(kFrame, sent_bps, 20, 2'500'000);
      }
      std::cerr << "RTT " << 2 * one_way / kMillisecond << " ms, " << sent_bps / 1000 << " kb/s: seen after "
                << taken / kMillisecond << " ms\n";
      CHECK(taken <= 450 * kMillisecond);
    }
  }
}

TEST(large_frames_do_not_hide_what_the_path_carries) {
  for (const double fps : {4.0, 8.0, 15.0, 30.0}) {
    BandwidthPath path(PathConfig{.bps = 1'000'000, .seed = 3});
    path.run_frames(10 * kSecond, 550'000, fps, 1'600'000);
    path.count_anew();
    path.run_frames(60 * kSecond, 550'000, fps, 1'600'000);
    std::cerr << fps << " frames a second of 550 kb/s: lowest " << static_cast<int>(path.lowest / 1000) << ", ";
    print("at the end", path);
    CHECK(path.lowest >= 650'000);
    CHECK(path.estimator.bps() <= 1'150'000);
  }
}

TEST(random_loss_is_not_taken_for_congestion) {
  BandwidthPath path(PathConfig{.bps = 3'000'000, .one_way = 50 * kMillisecond, .loss = 0.05});
  path.run(20 * kSecond, 2'000'000);
  print("5 % loss", path);
  CHECK(path.estimator.bps() >= 2'000'000);
  CHECK(path.estimator.loss() > 0.02);
}

TEST(heavy_loss_is) {
  BandwidthPath path(PathConfig{.bps = 10'000'000, .loss = 0.3});
  path.run(10 * kSecond, 3'000'000);
  CHECK(path.estimator.bps() < 1'000'000);
  path.path.loss = 0;
  path.run(20 * kSecond, 3'000'000);
  CHECK(path.estimator.bps() > 2'500'000);
}

TEST(jitter_is_not_taken_for_a_queue) {
  BandwidthPath path(PathConfig{.bps = 5'000'000, .jitter = 15 * kMillisecond});
  path.run(20 * kSecond, 2'000'000);
  print("15 ms jitter", path);
  CHECK(path.estimator.bps() >= 1'700'000);
}

TEST(a_shallow_queue_is_shared_with_its_losses) {
  BandwidthPath path(PathConfig{.bps = 1'000'000, .max_queue = 20 * kMillisecond});
  path.run(10 * kSecond, 4'000'000);
  path.count_anew();
  path.run(30 * kSecond, 4'000'000);
  print("20 ms queue", path);
  CHECK(path.used() >= 0.8);
  CHECK(path.estimator.loss() < 0.1);
}

TEST(a_source_that_sends_little_does_not_inflate_the_estimate) {
  BandwidthPath path(PathConfig{.bps = 1'000'000});
  path.run(30 * kSecond, 200'000);
  CHECK(path.estimator.bps() <= kStartBps * 1.1);
  path.count_anew();
  path.run(10 * kSecond, 4'000'000);
  print("after 200 kb/s", path);
  CHECK(path.queueing_p95() <= 150 * kMillisecond);
}

TEST(silence_halves_the_rate) {
  BandwidthPath path(PathConfig{.bps = 5'000'000});
  path.run(10 * kSecond, 3'000'000);
  const double before = path.estimator.bps();
  path.path.loss = 1;
  path.run(5 * kSecond, 3'000'000);
  CHECK(path.estimator.bps() < before / 4);
  path.path.loss = 0;
  path.run(15 * kSecond, 3'000'000);
  CHECK(path.estimator.bps() > 2'500'000);
}

TEST(another_way_is_not_judged_by_the_last_one) {
  BandwidthPath path(PathConfig{.bps = 5'000'000});
  path.run(10 * kSecond, 3'000'000);
  path.path.loss = 1;
  path.run(6 * kSecond, 3'000'000);
  CHECK(path.estimator.bps() < kStartBps / 4);
  path.path.loss = 0;
  path.estimator.move();
  CHECK_EQ(path.estimator.bps(), kStartBps);
  path.run(3 * kSecond, 3'000'000);
  print("after a move", path);
  CHECK(path.estimator.bps() > 2'500'000);
}

// What was sent on the old way comes back after the move: a way with a longer delay would look like a queue, one that
// carries less like the last.
TEST(feedback_of_the_last_way_says_nothing_of_another) {
  BandwidthPath path(PathConfig{.bps = 5'000'000});
  path.run(10 * kSecond, 3'000'000);
  path.path.one_way = 400 * kMillisecond;
  path.estimator.move();
  CHECK_EQ(path.estimator.bytes_in_flight(), 0U);
  path.count_anew();
  path.run_frames(8 * kSecond, 600'000, 30, 3'000'000);
  print("after a move to a longer way", path);
  CHECK(path.lowest >= kStartBps);
  CHECK(path.estimator.rtt() > 700 * kMillisecond);
}

TEST(in_flight_bytes_return_to_nothing) {
  BandwidthPath path(PathConfig{.bps = 2'000'000, .loss = 0.02});
  path.run(10 * kSecond, 1'000'000);
  CHECK(path.estimator.bytes_in_flight() < 1'000'000 / 8 / 2);
  CHECK(path.estimator.rtt() > 50 * kMillisecond);
  CHECK(path.estimator.rtt() < 250 * kMillisecond);
}
