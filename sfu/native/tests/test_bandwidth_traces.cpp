// The estimator on paths that change, and on paths that it does not have for itself.
#include <cmath>
#include <iostream>
#include <random>

#include "bandwidth_path.h"
#include "check.h"

using namespace parley;
using test::BandwidthPath;
using test::PathConfig;
using test::RivalFlow;

namespace {

constexpr TimeNs kSlot = 100 * kMillisecond;

void print(const char* what, BandwidthPath& path) {
  std::cerr << what << ": estimate " << static_cast<int>(path.lowest / 1000) << " to "
            << static_cast<int>(path.highest / 1000) << " kb/s, used " << static_cast<int>(path.used() * 100)
            << " %, queue p95 " << path.queueing_p95() / kMillisecond << " ms, lost "
            << static_cast<int>(path.lost() * 1000) << " of 1000\n";
}

// Like a mobile link in motion: the logarithm of the capacity wanders between 0.4 and 6 Mb/s, pulled towards 1.6 Mb/s
// (an Ornstein-Uhlenbeck process with a time constant of 3 s), one step each 100 ms.
class Mobile {
 public:
  explicit Mobile(std::uint64_t seed) : random_(seed) {}

  double next() {
    constexpr double kPull = 0.1 / 3;
    wander_ += -kPull * wander_ + std::normal_distribution<>(0, 0.12)(random_);
    return std::clamp(1.6e6 * std::exp(wander_), 0.4e6, 6e6);
  }

 private:
  std::mt19937_64 random_;
  double wander_ = 0;
};

}  // namespace

TEST(a_path_that_goes_up_and_down_in_steps_is_followed) {
  BandwidthPath path(PathConfig{.bps = 2'000'000});
  path.run(10 * kSecond, 4'000'000);
  path.count_anew();
  for (const double bps : {2.0e6, 1.0e6, 2.5e6, 0.6e6, 1.5e6, 3.0e6}) {
    path.path.bps = bps;
    path.run(15 * kSecond, 4'000'000);
  }
  print("steps between 0.6 and 3 Mb/s", path);
  CHECK(path.used() >= 0.75);
  CHECK(path.queueing_p95() <= 200 * kMillisecond);
}

TEST(a_path_that_slowly_narrows_and_widens_is_followed) {
  BandwidthPath path(PathConfig{.bps = 2'000'000});
  path.run(10 * kSecond, 4'000'000);
  path.count_anew();
  for (TimeNs at = 0; at < 80 * kSecond; at += kSlot) {
    const double phase = static_cast<double>(at) / static_cast<double>(40 * kSecond);
    path.path.bps = 1.25e6 + 0.75e6 * std::cos(2 * 3.14159265 * phase);
    path.run(kSlot, 4'000'000);
  }
  print("ramps between 0.5 and 2 Mb/s", path);
  CHECK(path.used() >= 0.8);
  CHECK(path.queueing_p95() <= 100 * kMillisecond);
}

TEST(a_mobile_path_is_used_and_its_queue_stays_bounded) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    Mobile mobile(seed);
    BandwidthPath path(PathConfig{.bps = 1'600'000, .one_way = 35 * kMillisecond});
    path.run(10 * kSecond, 4'000'000);
    path.count_anew();
    for (TimeNs at = 0; at < 60 * kSecond; at += kSlot) {
      path.path.bps = mobile.next();
      path.run(kSlot, 4'000'000);
    }
    print("a mobile link", path);
    CHECK(path.used() >= 0.5);
    CHECK(path.queueing_p95() <= 300 * kMillisecond);
  }
}

// A route that is longer from one moment to the next: all its packets lie above the shortest delay seen before.
TEST(a_longer_and_narrower_route_is_found_out_in_seconds) {
  for (const double fps : {4.0, 15.0}) {
    BandwidthPath path(PathConfig{.bps = 20'000'000, .one_way = kMillisecond, .jitter = 4 * kMillisecond});
    path.run_frames(10 * kSecond, 1'500'000, fps, 1'600'000);
    path.path.bps = 1'000'000;
    path.path.one_way = 21 * kMillisecond;
    path.run_frames(2 * kSecond, 900'000, fps, 1'600'000);
    path.count_anew();
    path.run_frames(20 * kSecond, 850'000, fps, 1'600'000);
    print("850 kb/s in frames on a longer route of 1 Mb/s", path);
    CHECK(path.lowest >= 600'000);
    CHECK(path.highest <= 1'500'000);
    CHECK(path.queueing_p95() <= 250 * kMillisecond);
  }
}

TEST(beside_a_competing_flow_it_does_not_starve) {
  struct Row {
    TimeNs max_queue;
    double share;
  };
  for (const auto& [max_queue, share] : {Row{100 * kMillisecond, 0.08}, Row{400 * kMillisecond, 0.2}}) {
    BandwidthPath path(PathConfig{.bps = 2'000'000, .max_queue = max_queue});
    path.run(15 * kSecond, 4'000'000);
    path.rival.emplace(2 * path.path.one_way);
    path.run(10 * kSecond, 4'000'000);
    path.count_anew();
    path.rival->carried();
    path.run(60 * kSecond, 4'000'000);
    std::cerr << max_queue / kMillisecond << " ms queue, the rival took " << path.rival->carried() * 8 / 60 / 20'000
              << " %; ";
    print("beside it", path);
    CHECK(path.used() >= share);
    path.rival.reset();
    path.count_anew();
    path.run(20 * kSecond, 4'000'000);
    print("alone again", path);
    CHECK(path.used() >= 0.7);
  }
}

TEST(a_policer_is_not_run_into) {
  for (const double burst : {8'000.0, 32'000.0}) {
    BandwidthPath path(PathConfig{.bps = 50'000'000, .policed_bps = 1'000'000, .policed_burst_bytes = burst});
    path.run(10 * kSecond, 4'000'000);
    path.count_anew();
    path.run(60 * kSecond, 4'000'000);
    print("behind a policer of 1 Mb/s", path);
    CHECK(path.used() >= 0.7);
    CHECK(path.lost() <= 0.15);
    CHECK(path.highest <= 2'500'000);
  }
}
