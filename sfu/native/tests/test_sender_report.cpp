#include "sender_report.h"

#include "check.h"
#include "receive_stats.h"

using namespace parley;

namespace {

constexpr TimeNs kMs = kMillisecond;
constexpr std::uint32_t kHz = 90'000;
constexpr std::uint64_t kNtpSecond = 1ULL << 32;

SenderInfo info(std::uint64_t ntp, std::uint32_t rtp) {
  return {.ssrc = 1, .ntp = ntp, .rtp_timestamp = rtp, .packet_count = 1, .octet_count = 1};
}

}  // namespace

TEST(encodings_are_aligned_by_their_reports) {
  EncodingClocks clocks;
  CHECK(!clocks.align(0, 1, 5, kHz).has_value());
  CHECK_EQ(*clocks.align(1, 1, 5, kHz), 5U);
  clocks.receive(0, info(100 * kNtpSecond, 1000), 0);
  CHECK(!clocks.align(0, 1, 5, kHz).has_value());
  clocks.receive(1, info(102 * kNtpSecond, 0xFFFFFFF0), 0);
  // Encoding 0 at 1000 + 2 s is encoding 1 at 0xFFFFFFF0.
  CHECK_EQ(*clocks.align(0, 1, 1000 + 2 * kHz, kHz), 0xFFFFFFF0U);
  CHECK_EQ(*clocks.align(0, 1, 1000 + 3 * kHz, kHz), 0xFFFFFFF0U + kHz);
  CHECK_EQ(*clocks.align(1, 0, 0xFFFFFFF0, kHz), 1000 + 2 * kHz);
}

TEST(reports_without_a_clock_or_of_unknown_encodings_are_ignored) {
  EncodingClocks clocks;
  clocks.receive(0, info(0, 1000), 0);
  CHECK(!clocks.report(0).has_value());
  clocks.receive(99, info(1, 1), 0);
  CHECK(!clocks.report(99).has_value());
}

TEST(clocks_hours_apart_are_not_aligned) {
  EncodingClocks clocks;
  clocks.receive(0, info(1 * kNtpSecond, 0), 0);
  clocks.receive(1, info(10'000 * kNtpSecond, 0), 0);
  CHECK(!clocks.align(0, 1, 0, kHz).has_value());
}

TEST(report_is_carried_on_to_now_with_the_forwards_offset) {
  const SourceReport source{.ntp = 50 * kNtpSecond, .rtp_timestamp = 0xFFFFFFFF, .arrival = kSecond};
  const auto report = translate_report(source, 101, kHz, 77, 5, 600, kSecond + 500 * kMs);
  CHECK_EQ(report.ssrc, 77U);
  CHECK_EQ(report.ntp, 50 * kNtpSecond + kNtpSecond / 2);
  CHECK_EQ(report.rtp_timestamp, 100U + 45'000U);
  CHECK_EQ(report.packet_count, 5U);
  CHECK_EQ(report.octet_count, 600U);
}

TEST(lip_sync_holds_over_the_translation) {
  // Audio and video of one publisher: the same NTP instant gives the same instant in both forwards.
  const SourceReport audio{.ntp = 50 * kNtpSecond, .rtp_timestamp = 48'000, .arrival = 0};
  const SourceReport video{.ntp = 51 * kNtpSecond, .rtp_timestamp = 7, .arrival = kSecond};
  const auto a = translate_report(audio, 1000, 48'000, 1, 0, 0, 3 * kSecond);
  const auto v = translate_report(video, 2000, kHz, 2, 0, 0, 3 * kSecond);
  CHECK_EQ(a.ntp, v.ntp);
  CHECK_EQ(a.rtp_timestamp, 48'000U + 1000 + 3 * 48'000);
  CHECK_EQ(v.rtp_timestamp, 7U + 2000 + 2 * kHz);
}

TEST(rtt_from_the_echo_of_our_report) {
  SentReports reports;
  const std::uint64_t ntp = 0x0001000000000000ULL + 7 * kNtpSecond;
  reports.sent(ntp, kSecond);
  const ReportBlock block{.last_sr = compact_ntp(ntp), .delay_since_sr = 65'536 / 10};
  const auto rtt = reports.rtt(block, kSecond + 180 * kMs);
  CHECK(rtt.has_value());
  CHECK(*rtt > 79 * kMs && *rtt < 81 * kMs);
}

TEST(echo_of_nothing_or_nonsense_gives_no_rtt) {
  SentReports reports;
  CHECK(!reports.rtt({}, kSecond).has_value());
  reports.sent(5 * kNtpSecond, kSecond);
  CHECK(!reports.rtt({.last_sr = 99}, 2 * kSecond).has_value());
  const std::uint32_t sent = compact_ntp(5 * kNtpSecond);
  CHECK(!reports.rtt({.last_sr = sent, .delay_since_sr = 65'536 * 2}, 2 * kSecond).has_value());  // negative
  CHECK(!reports.rtt({.last_sr = sent}, 20 * kSecond).has_value());
  for (int i = 6; i < 10; ++i) {
    reports.sent(static_cast<std::uint64_t>(i) * kNtpSecond, kSecond);
  }
  CHECK(!reports.rtt({.last_sr = sent}, 2 * kSecond).has_value());  // forgotten
}
