#include "receive_stats.h"

#include "check.h"

using namespace parley;

namespace {
constexpr TimeNs kMs = kMillisecond;
constexpr std::uint32_t kHz = 90'000;
}  // namespace

TEST(nothing_received_is_an_empty_block) {
  ReceiveStats stats(kHz);
  const auto block = stats.take_report(7, 0);
  CHECK_EQ(block.ssrc, 7U);
  CHECK_EQ(block.fraction_lost, 0);
  CHECK_EQ(block.last_sr, 0U);
  CHECK_EQ(stats.lost(), 0);
}

TEST(loss_is_counted_per_interval_and_in_all) {
  ReceiveStats stats(kHz);
  for (int seq = 0; seq < 100; ++seq) {
    if (seq % 4 != 1) {
      stats.receive(65'500 + seq, 0, 100, false, 0);
    }
  }
  auto block = stats.take_report(1, 0);
  CHECK_EQ(block.cumulative_lost, 25);
  CHECK_EQ(block.fraction_lost, 64);
  CHECK_EQ(block.highest_seq, 65'599U);  // one cycle
  for (int seq = 100; seq < 200; ++seq) {
    stats.receive(65'500 + seq, 0, 100, false, 0);
  }
  block = stats.take_report(1, 0);
  CHECK_EQ(block.fraction_lost, 0);
  CHECK_EQ(block.cumulative_lost, 25);
  CHECK_EQ(stats.packets(), 175U);
  CHECK_EQ(stats.bytes(), 17'500U);
}

TEST(late_packet_is_no_loss_and_repair_still_is) {
  ReceiveStats stats(kHz);
  stats.receive(1, 0, 1, false, 0);
  stats.receive(4, 0, 1, false, 0);
  stats.receive(2, 0, 1, false, 0);
  stats.receive(3, 0, 1, true, 0);
  CHECK_EQ(stats.lost(), 1);
  CHECK_EQ(stats.repaired(), 1U);
}

TEST(packets_before_the_first_extend_the_range) {
  ReceiveStats stats(kHz);
  stats.receive(1, 0, 1, false, 0);
  stats.receive(-1, 0, 1, false, 0);
  CHECK_EQ(stats.lost(), 1);
}

TEST(duplicates_make_the_loss_negative_and_never_the_fraction) {
  ReceiveStats stats(kHz);
  stats.receive(1, 0, 1, false, 0);
  stats.receive(1, 0, 1, false, 0);
  const auto block = stats.take_report(1, 0);
  CHECK_EQ(block.cumulative_lost, -1);
  CHECK_EQ(block.fraction_lost, 0);
}

TEST(steady_arrival_has_no_jitter) {
  ReceiveStats stats(kHz);
  for (int i = 0; i < 100; ++i) {
    stats.receive(i, static_cast<std::uint32_t>(i) * 900, 1, false, i * 10 * kMs);
  }
  CHECK_EQ(stats.jitter(), 0U);
}

TEST(jitter_converges_on_the_mean_difference) {
  ReceiveStats stats(kHz);
  for (int i = 0; i < 1000; ++i) {
    // Every other packet is 5 ms late: transit changes by 450 ticks each time.
    stats.receive(i, static_cast<std::uint32_t>(i) * 900, 1, false, i * 10 * kMs + (i % 2) * 5 * kMs);
  }
  CHECK(stats.jitter() > 430 && stats.jitter() <= 450);
}

TEST(new_timeline_is_no_jitter) {
  ReceiveStats stats(kHz);
  stats.receive(1, 0, 1, false, 0);
  stats.receive(2, 1'000'000'000, 1, false, 10 * kMs);
  CHECK_EQ(stats.jitter(), 0U);
}

TEST(sender_report_is_echoed_with_its_delay) {
  ReceiveStats stats(kHz);
  stats.receive_sender_report(0x1122334455667788, kSecond);
  const auto block = stats.take_report(1, kSecond + 500 * kMs);
  CHECK_EQ(block.last_sr, 0x33445566U);
  CHECK_EQ(block.delay_since_sr, 32'768U);
}

TEST(ntp_conversions) {
  CHECK_EQ(to_ntp(0), 0U);
  CHECK_EQ(to_ntp(kSecond + kSecond / 2), 0x180000000ULL);
  CHECK_EQ(compact_ntp(to_ntp(3 * kSecond / 2)), 0x18000U);
  CHECK_EQ(from_compact(0x18000), kSecond * 3 / 2);
  CHECK_EQ(to_ticks(kSecond / 10, kHz), 9000U);
  CHECK_EQ(to_ticks(100'000 * kSecond, kHz), static_cast<std::uint32_t>(100'000LL * 90'000));
  CHECK_EQ(to_ticks(-kSecond, kHz), static_cast<std::uint32_t>(-90'000));
}
