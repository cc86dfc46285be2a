#include "forward_sequencer.h"

#include "check.h"

using namespace parley;

namespace {

constexpr TimeNs kMs = kMillisecond;
constexpr TimeNs kRtt = 40 * kMs;

SentPacket sent(std::uint16_t seq, std::uint16_t size = 1000) {
  return {.source = 7,
          .source_seq = seq + 100'000U,
          .timestamp = seq * 10U,
          .seq = seq,
          .size = size,
          .picture_id = 3,
          .marker = true};
}

}  // namespace

TEST(sent_packet_is_found_as_it_was_sent) {
  ForwardSequencer sequencer;
  sequencer.record(sent(65535), 0);
  SentPacket out;
  CHECK_EQ(sequencer.request(65535, 0, kRtt, out), ResendVerdict::kSend);
  CHECK_EQ(out.source, 7U);
  CHECK_EQ(out.source_seq, 165'535U);
  CHECK_EQ(out.timestamp, 655'350U);
  CHECK_EQ(out.picture_id, 3);
  CHECK(out.marker);
}

TEST(what_was_never_sent_is_unknown) {
  ForwardSequencer sequencer;
  SentPacket out;
  CHECK_EQ(sequencer.request(0, 0, kRtt, out), ResendVerdict::kUnknown);
  sequencer.record(sent(5), 0);
  CHECK_EQ(sequencer.request(0, 0, kRtt, out), ResendVerdict::kUnknown);
  CHECK_EQ(sequencer.request(5 + 512, 0, kRtt, out), ResendVerdict::kUnknown);
}

TEST(ring_moves_on) {
  ForwardSequencer sequencer({.entries = 8});
  for (std::uint16_t i = 0; i < 20; ++i) {
    sequencer.record(sent(static_cast<std::uint16_t>(65530 + i)), 0);
  }
  SentPacket out;
  CHECK_EQ(sequencer.request(5, 0, kRtt, out), ResendVerdict::kUnknown);
  CHECK_EQ(sequencer.request(6, 0, kRtt, out), ResendVerdict::kSend);
  CHECK_EQ(sequencer.request(13, 0, kRtt, out), ResendVerdict::kSend);
}

TEST(repeats_within_the_rtt_are_ignored) {
  ForwardSequencer sequencer;
  sequencer.record(sent(1), 0);
  SentPacket out;
  CHECK_EQ(sequencer.request(1, 50 * kMs, kRtt, out), ResendVerdict::kSend);
  CHECK_EQ(sequencer.request(1, 89 * kMs, kRtt, out), ResendVerdict::kTooSoon);
  CHECK_EQ(sequencer.request(1, 90 * kMs, kRtt, out), ResendVerdict::kSend);
  CHECK_EQ(sequencer.request(1, 150 * kMs, 0, out), ResendVerdict::kTooSoon);  // unknown RTT: 100 ms
  CHECK_EQ(sequencer.request(1, 189 * kMs, 5 * kSecond, out), ResendVerdict::kTooSoon);
  CHECK_EQ(sequencer.request(1, 190 * kMs, 5 * kSecond, out), ResendVerdict::kSend);  // at most 100 ms
}

TEST(a_resend_that_is_known_to_be_lost_is_repeated_at_once_and_once) {
  ForwardSequencer sequencer;
  sequencer.record(sent(1), 0);
  SentPacket out;
  CHECK_EQ(sequencer.repeat(2, 0, 10 * kMs, out), ResendVerdict::kUnknown);
  CHECK_EQ(sequencer.request(1, 50 * kMs, kRtt, out), ResendVerdict::kSend);
  CHECK_EQ(sequencer.repeat(1, 50 * kMs, 60 * kMs, out), ResendVerdict::kSend);
  CHECK_EQ(out.seq, 1);
  CHECK_EQ(sequencer.repeat(1, 50 * kMs, 61 * kMs, out), ResendVerdict::kTooSoon);
  CHECK_EQ(sequencer.request(1, 99 * kMs, kRtt, out), ResendVerdict::kTooSoon);
  CHECK_EQ(sequencer.repeat(1, 60 * kMs, 100 * kMs, out), ResendVerdict::kSend);
  CHECK_EQ(sequencer.repeat(1, 100 * kMs, 140 * kMs, out), ResendVerdict::kExhausted);
}

TEST(three_resends_are_all) {
  ForwardSequencer sequencer;
  sequencer.record(sent(1), 0);
  SentPacket out;
  for (int i = 1; i <= 3; ++i) {
    CHECK_EQ(sequencer.request(1, i * kSecond, kRtt, out), ResendVerdict::kSend);
  }
  CHECK_EQ(sequencer.request(1, 10 * kSecond, kRtt, out), ResendVerdict::kExhausted);
}

TEST(resends_never_outweigh_the_media_that_earned_them) {
  ForwardSequencer sequencer;
  std::int64_t media = 0;
  std::int64_t resent = 0;
  SentPacket out;
  TimeNs now = 0;
  for (std::uint16_t seq = 0; seq < 5000; ++seq, now += 2 * kMs) {
    sequencer.record(sent(seq), now);
    media += 1000;
    // A subscriber that NACKs the last twenty packets all the time.
    for (std::uint16_t back = 0; back < 20; ++back) {
      const auto asked = static_cast<std::uint16_t>(seq - back);
      if (sequencer.request(asked, now, kMs, out) == ResendVerdict::kSend) {
        resent += out.size;
      }
    }
  }
  CHECK(resent <= media + 16 * 1024);
  CHECK(resent > media / 2);
}

TEST(budget_is_spent_and_earned_again) {
  ForwardSequencer sequencer({.max_credit_bytes = 3000, .first_credit_bytes = 0});
  for (std::uint16_t seq = 0; seq < 10; ++seq) {
    sequencer.record(sent(seq), 0);
  }
  CHECK_EQ(sequencer.credit_bytes(), 3000);
  SentPacket out;
  for (std::uint16_t seq = 0; seq < 3; ++seq) {
    CHECK_EQ(sequencer.request(seq, 0, kRtt, out), ResendVerdict::kSend);
  }
  CHECK_EQ(sequencer.request(3, 0, kRtt, out), ResendVerdict::kOverBudget);
  sequencer.record(sent(10), 0);
  CHECK_EQ(sequencer.request(3, 0, kRtt, out), ResendVerdict::kSend);
}

TEST(cleared_sequencer_knows_nothing) {
  ForwardSequencer sequencer;
  sequencer.record(sent(1), 0);
  sequencer.clear();
  SentPacket out;
  CHECK_EQ(sequencer.request(1, 0, kRtt, out), ResendVerdict::kUnknown);
}
