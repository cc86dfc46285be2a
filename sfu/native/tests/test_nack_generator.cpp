#include "nack_generator.h"

#include <array>
#include <vector>

#include "check.h"

using namespace parley;

namespace {

constexpr TimeNs kMs = kMillisecond;

std::vector<int> poll(NackGenerator& nack, TimeNs now, TimeNs rtt = 50 * kMs) {
  std::array<std::uint16_t, 512> out{};
  const std::size_t count = nack.poll(now, rtt, out);
  return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace

TEST(packets_in_order_ask_for_nothing) {
  NackGenerator nack;
  CHECK_EQ(nack.receive(10, 0), NackOutcome::kFirst);
  for (int seq = 11; seq < 100; ++seq) {
    CHECK_EQ(nack.receive(seq, 0), NackOutcome::kInOrder);
  }
  CHECK_EQ(nack.deadline(), kNever);
  CHECK(poll(nack, kSecond).empty());
}

TEST(gap_is_asked_for_after_the_reorder_grace) {
  NackGenerator nack;
  nack.receive(10, 0);
  CHECK_EQ(nack.receive(13, 0), NackOutcome::kGap);
  CHECK_EQ(nack.deadline(), 12 * kMs);
  CHECK(poll(nack, 11 * kMs).empty());
  CHECK(poll(nack, 12 * kMs) == (std::vector{11, 12}));
  CHECK(poll(nack, 12 * kMs).empty());
}

TEST(packet_that_arrives_in_the_grace_is_not_asked_for) {
  NackGenerator nack;
  nack.receive(10, 0);
  nack.receive(12, 0);
  CHECK_EQ(nack.receive(11, 5 * kMs), NackOutcome::kRecovered);
  CHECK_EQ(nack.deadline(), kNever);
  CHECK(poll(nack, kSecond).empty());
}

TEST(duplicates_and_packets_before_the_first_change_nothing) {
  NackGenerator nack;
  nack.receive(10, 0);
  CHECK_EQ(nack.receive(10, 0), NackOutcome::kOld);
  CHECK_EQ(nack.receive(9, 0), NackOutcome::kOld);
  nack.receive(12, 0);
  CHECK_EQ(nack.receive(11, 0), NackOutcome::kRecovered);
  CHECK_EQ(nack.receive(11, 0), NackOutcome::kOld);
}

TEST(numbers_wrap_on_the_wire) {
  NackGenerator nack;
  nack.receive(65534, 0);
  nack.receive(65538, 0);
  CHECK(poll(nack, 12 * kMs) == (std::vector{65535, 0, 1}));
}

TEST(tries_back_off_from_the_rtt) {
  NackGenerator nack;
  nack.receive(1, 0);
  nack.receive(3, 0);
  std::vector<TimeNs> times;
  for (TimeNs now = 0; now < 3 * kSecond; now += kMs) {
    if (!poll(nack, now, 40 * kMs).empty()) {
      times.push_back(now / kMs);
    }
  }
  CHECK(times.size() >= 5 && times.size() <= 10);
  CHECK_EQ(times[0], 12);
  CHECK_EQ(times[1], 62);  // 12 + 40 * 1.25
  for (std::size_t i = 2; i < times.size(); ++i) {
    CHECK(times[i] - times[i - 1] > times[i - 1] - times[i - 2]);
  }
  CHECK(times.back() <= 1012);
  CHECK_EQ(nack.missing(), 0U);
  CHECK_EQ(nack.given_up(), 1U);
}

TEST(a_short_round_trip_still_leaves_most_of_a_second_for_repair) {
  NackGenerator nack;
  nack.receive(1, 0);
  nack.receive(3, 0);
  TimeNs last = 0;
  for (TimeNs now = 0; now < 2 * kSecond; now += kMs) {
    if (!poll(nack, now, kMs).empty()) {
      last = now;
    }
  }
  CHECK(last > 600 * kMs);
}

TEST(no_more_than_ten_tries) {
  NackGenerator nack;
  nack.receive(1, 0);
  nack.receive(3, 0);
  int tries = 0;
  for (TimeNs now = 0; now < 5 * kSecond; now += kMs) {
    tries += poll(nack, now, kMs).empty() ? 0 : 1;
  }
  CHECK(tries <= 10);
  CHECK_EQ(nack.deadline(), kNever);
}

TEST(unknown_rtt_counts_as_100_ms) {
  NackGenerator nack;
  nack.receive(1, 0);
  nack.receive(3, 0);
  CHECK_EQ(poll(nack, 12 * kMs, 0).size(), 1U);
  CHECK_EQ(nack.deadline(), 137 * kMs);
}

TEST(hole_too_large_resets) {
  NackGenerator nack;
  nack.receive(1, 0);
  nack.receive(3, 0);
  CHECK_EQ(nack.receive(3 + 128 + 1, 0), NackOutcome::kGap);
  CHECK_EQ(nack.receive(3 + 2 * 128 + 3, 0), NackOutcome::kReset);
  CHECK_EQ(nack.missing(), 0U);
  CHECK_EQ(nack.deadline(), kNever);
  CHECK_EQ(nack.receive(3 + 2 * 128 + 4, 0), NackOutcome::kInOrder);
}

TEST(table_is_bounded) {
  NackGenerator nack({.max_missing = 10, .max_gap = 8});
  nack.receive(0, 0);
  CHECK_EQ(nack.receive(9, 0), NackOutcome::kGap);
  CHECK_EQ(nack.receive(12, 0), NackOutcome::kGap);
  CHECK_EQ(nack.missing(), 10U);
  CHECK_EQ(nack.receive(14, 0), NackOutcome::kReset);
  CHECK_EQ(nack.missing(), 0U);
}

TEST(small_output_takes_the_oldest_and_keeps_the_rest_due) {
  NackGenerator nack;
  nack.receive(0, 0);
  nack.receive(6, 0);
  std::array<std::uint16_t, 2> out{};
  CHECK_EQ(nack.poll(12 * kMs, 0, out), 2U);
  CHECK_EQ(out[0], 1);
  CHECK(nack.deadline() <= 12 * kMs);
  CHECK_EQ(nack.poll(12 * kMs, 0, out), 2U);
  CHECK_EQ(out[0], 3);
}

TEST(requests_never_outnumber_the_packets_that_earned_them) {
  NackGenerator nack({.max_credit = 16});
  std::size_t received = 0;
  std::size_t asked = 0;
  std::int64_t seq = 0;
  // Of four packets three are lost, and nothing is ever repaired.
  for (TimeNs now = 0; now < 10 * kSecond; now += 10 * kMs) {
    nack.receive(seq, now);
    ++received;
    seq += 4;
    asked += poll(nack, now, 10 * kMs).size();
  }
  CHECK(asked <= received + 16);
  CHECK(asked > received / 2);
  CHECK(nack.missing() <= 256);
}

TEST(spent_credit_is_earned_again_and_what_waited_is_asked_for) {
  NackGenerator nack({.max_credit = 2});
  nack.receive(0, 0);
  nack.receive(5, 0);
  CHECK(poll(nack, 12 * kMs) == (std::vector{1, 2}));
  CHECK(poll(nack, 13 * kMs).empty());
  CHECK(nack.deadline() <= 13 * kMs);
  nack.receive(6, 14 * kMs);
  CHECK(poll(nack, 14 * kMs) == (std::vector{3}));
}

TEST(reset_starts_anew) {
  NackGenerator nack;
  nack.receive(0, 0);
  nack.receive(6, 0);
  nack.reset();
  CHECK_EQ(nack.deadline(), kNever);
  CHECK_EQ(nack.receive(70000, 0), NackOutcome::kFirst);
}
