// The estimator's parts, each by itself.
#include "bwe/delay_floor.h"
#include "bwe/probe_control.h"
#include "bwe/rate_control.h"
#include "bwe/rivalry.h"
#include "check.h"

using namespace parley;

namespace {

constexpr TimeNs kMs = kMillisecond;

ProbeControl::Known estimate(double bps) {
  return {.estimate_bps = bps, .capacity_bps = std::nullopt, .has_room = true};
}

}  // namespace

TEST(a_probe_goes_little_beyond_what_the_path_carried_last) {
  struct Row {
    std::optional<double> capacity;
    double probed;
  };
  for (const auto& [capacity, probed] :
       {Row{std::nullopt, 1'800'000}, Row{1'000'000, 1'250'000}, Row{800'000, 1'125'000}, Row{5'000'000, 1'800'000}}) {
    ProbeControl probes;
    probes.set_wanted(4'000'000);
    auto known = estimate(900'000);
    known.capacity_bps = capacity;
    CHECK_EQ(probes.next(known, kSecond)->bps, probed);
  }
}

TEST(nothing_is_probed_beyond_what_is_wanted_nor_while_there_is_a_queue) {
  ProbeControl probes;
  probes.set_wanted(1'000'000);
  auto known = estimate(900'000);
  known.has_room = false;
  CHECK(!probes.next(known, kSecond).has_value());
  CHECK_EQ(probes.next(estimate(900'000), kSecond)->bps, 1'400'000);
  ProbeControl content;
  content.set_wanted(500'000);
  CHECK(!content.next(estimate(900'000), kSecond).has_value());
}

TEST(after_a_restart_no_probe_is_waited_for) {
  ProbeControl probes;
  probes.set_wanted(4'000'000);
  const auto first = probes.next(estimate(900'000), kSecond);
  CHECK(!probes.next(estimate(900'000), kSecond + kMs).has_value());
  probes.restart();
  const auto second = probes.next(estimate(900'000), kSecond + kMs);
  CHECK(second.has_value());
  CHECK(second->cluster != first->cluster);
}

TEST(a_longer_route_is_believed_after_seconds) {
  DelayFloor floor(2 * kSecond);
  TimeNs now = kSecond;
  for (; now < 2 * kSecond; now += 20 * kMs) {
    CHECK_EQ(floor.receive(10 * kMs, now), 0);
  }
  CHECK_EQ(floor.receive(50 * kMs, now), 40 * kMs);
  for (const TimeNs end = now + 4 * kSecond; now < end; now += 20 * kMs) {
    floor.receive(50 * kMs, now);
  }
  CHECK_EQ(floor.receive(50 * kMs, now), 0);
}

TEST(a_queue_that_cuts_leave_standing_is_somebody_elses) {
  Rivalry rivalry;
  const auto cut_and_send = [&](TimeNs above, TimeNs now) {
    rivalry.receive(above);
    rivalry.cut(1'000'000, above, now);
    rivalry.sent(900'000 / 8);  // in the second that follows: 100 ms of queue are due to drain
  };
  for (int second = 1; second <= Rivalry::kInVain; ++second) {
    cut_and_send(200 * kMs, second * kSecond);
    CHECK(!rivalry.is_on());
  }
  cut_and_send(200 * kMs, 9 * kSecond);
  CHECK(rivalry.is_on());
  rivalry.receive(kMs);
  CHECK(!rivalry.is_on());
}

TEST(a_queue_that_drains_as_it_should_is_ones_own) {
  Rivalry rivalry;
  for (int second = 1; second <= 5; ++second) {
    const TimeNs above = (600 - 100 * second) * kMs;
    rivalry.receive(above);
    rivalry.cut(1'000'000, above, second * kSecond);
    rivalry.sent(900'000 / 8);
    CHECK(!rivalry.is_on());
  }
}

TEST(who_sends_little_goes_on_unless_packets_were_seen_to_wait_long) {
  constexpr double kSent = 300'000;
  struct Row {
    RateControl::Proof proof;
    bool is_long;
    bool goes_on;
  };
  using enum RateControl::Proof;
  for (const auto& [proof, is_long, goes_on] :
       {Row{kTrend, true, true}, Row{kLoss, true, true}, Row{kTrain, false, true}, Row{kTrain, true, false}}) {
    RateControl control(2'000'000);
    CHECK(control.overuse(kSent, proof, is_long, kSent, 50 * kMs, kSecond));
    CHECK_EQ(control.bps() > kSent, goes_on);
  }
}

TEST(a_silent_path_is_given_time_to_show_the_effect_of_being_halved) {
  RateControl control(2'000'000);
  control.overuse(300'000, RateControl::Proof::kTrain, false, 300'000, 50 * kMs, kSecond);
  control.halve(2 * kSecond);
  CHECK(!control.overuse(300'000, RateControl::Proof::kTrain, false, 300'000, 50 * kMs, 2 * kSecond + 120 * kMs));
  CHECK(control.overuse(300'000, RateControl::Proof::kTrain, false, 300'000, 50 * kMs, 2 * kSecond + 150 * kMs));
}
