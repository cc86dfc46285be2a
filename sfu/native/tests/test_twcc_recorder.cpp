#include "twcc_recorder.h"

#include <array>
#include <map>

#include "check.h"
#include "transport_feedback.h"

using namespace parley;

namespace {

constexpr TimeNs kMs = kMillisecond;

struct Feedback {
  int base = 0;
  int count = 0;
  int number = 0;
  std::map<int, TimeNs> arrivals{};  // by seq, in ns since time 0
};

// The next message; nothing when there is none.
std::optional<Feedback> build(TwccRecorder& recorder, TimeNs now, std::size_t room = 1200) {
  std::array<std::uint8_t, 1200> bytes{};
  Writer out(MutableBytes(bytes).first(room));
  if (!recorder.build(out, 11, 22, now)) {
    CHECK_EQ(out.size(), 0U);
    return std::nullopt;
  }
  CHECK_EQ(out.size() % 4, 0U);
  RtcpReader reader(out.written());
  const auto message = reader.next();
  CHECK(message.has_value());
  CHECK_EQ(read_feedback_header(*message)->media_ssrc, 22U);
  auto feedback = TransportFeedbackReader::open(*message);
  CHECK(feedback.has_value());
  Feedback result{
      .base = feedback->base_seq(), .count = feedback->status_count(), .number = feedback->feedback_count()};
  while (const auto fate = feedback->next()) {
    if (fate->received) {
      result.arrivals[fate->seq] = feedback->reference_time() * 64 * kMs + fate->arrival_ticks * 250 * kMicrosecond;
    }
  }
  return result;
}

}  // namespace

TEST(nothing_received_is_nothing_to_report) {
  TwccRecorder recorder;
  CHECK(!recorder.is_due(10 * kSecond));
  CHECK_EQ(recorder.deadline(), kNever);
  CHECK(!build(recorder, 0).has_value());
}

TEST(arrivals_are_reported_to_a_quarter_millisecond) {
  TwccRecorder recorder;
  recorder.receive(10, 1000 * kMs);
  recorder.receive(11, 1000 * kMs + 600 * kMicrosecond);
  recorder.receive(14, 1080 * kMs);
  const auto feedback = build(recorder, 1100 * kMs);
  CHECK_EQ(feedback->base, 10);
  CHECK_EQ(feedback->count, 5);
  CHECK((feedback->arrivals ==
         std::map<int, TimeNs>{{10, 1000 * kMs}, {11, 1000 * kMs + 500 * kMicrosecond}, {14, 1080 * kMs}}));
  CHECK(!build(recorder, 1100 * kMs).has_value());
}

TEST(feedback_is_due_after_the_interval_or_enough_packets) {
  TwccRecorder recorder;
  recorder.receive(1, kSecond);
  CHECK(recorder.is_due(kSecond));
  build(recorder, kSecond);
  recorder.receive(2, kSecond + kMs);
  CHECK(!recorder.is_due(kSecond + 99 * kMs));
  CHECK_EQ(recorder.deadline(), kSecond + 100 * kMs);
  CHECK(recorder.is_due(kSecond + 100 * kMs));
  for (std::uint16_t seq = 3; seq < 103; ++seq) {
    recorder.receive(seq, kSecond + 2 * kMs);
  }
  CHECK(recorder.is_due(kSecond + 2 * kMs));
}

TEST(messages_are_numbered_and_go_on_where_the_last_ended) {
  TwccRecorder recorder;
  recorder.receive(65534, 0);
  recorder.receive(65535, 0);
  CHECK_EQ(build(recorder, 0)->number, 0);
  recorder.receive(1, kMs);
  const auto feedback = build(recorder, kMs);
  CHECK_EQ(feedback->number, 1);
  CHECK_EQ(feedback->base, 0);
  CHECK_EQ(feedback->count, 2);
  CHECK(!feedback->arrivals.contains(0));
  CHECK(feedback->arrivals.contains(1));
}

TEST(late_packet_is_reported_again_with_what_follows) {
  TwccRecorder recorder;
  recorder.receive(1, 0);
  recorder.receive(4, kMs);
  build(recorder, 2 * kMs);
  recorder.receive(3, 3 * kMs);
  const auto feedback = build(recorder, 4 * kMs);
  CHECK_EQ(feedback->base, 3);
  CHECK((feedback->arrivals == std::map<int, TimeNs>{{3, 3 * kMs}, {4, kMs}}));
}

TEST(duplicate_keeps_the_first_arrival) {
  TwccRecorder recorder;
  recorder.receive(1, 0);
  recorder.receive(1, 50 * kMs);
  CHECK_EQ(build(recorder, 60 * kMs)->arrivals.at(1), 0);
  recorder.receive(1, 70 * kMs);
  CHECK(!build(recorder, 80 * kMs).has_value());
}

TEST(large_jump_starts_afresh) {
  TwccRecorder recorder;
  recorder.receive(1, 0);
  recorder.receive(20'000, kMs);
  const auto feedback = build(recorder, kMs);
  CHECK_EQ(feedback->base, 20'000);
  CHECK_EQ(feedback->count, 1);
}

TEST(packet_older_than_the_window_is_ignored) {
  TwccRecorder recorder;
  recorder.receive(5000, 0);
  build(recorder, 0);
  recorder.receive(5000 - 1024, kMs);
  CHECK(!build(recorder, kMs).has_value());
  recorder.receive(5000 - 1023, kMs);
  CHECK_EQ(build(recorder, kMs)->base, 5000 - 1023);
}

TEST(what_does_not_fit_waits) {
  TwccRecorder recorder;
  for (std::uint16_t i = 0; i < 500; ++i) {
    recorder.receive(static_cast<std::uint16_t>(65'300 + i), i * kMs);
  }
  std::map<int, TimeNs> all;
  int messages = 0;
  while (const auto feedback = build(recorder, kSecond, 100)) {
    all.insert(feedback->arrivals.begin(), feedback->arrivals.end());
    ++messages;
    CHECK(recorder.is_due(kSecond + 100 * kMs) == (all.size() < 500));
  }
  CHECK_EQ(all.size(), 500U);
  CHECK(messages > 5);
}

TEST(too_little_room_for_one_status_builds_nothing) {
  TwccRecorder recorder;
  recorder.receive(1, 0);
  CHECK(!build(recorder, 0, 22).has_value());
  CHECK(build(recorder, 0, 28).has_value());
}

TEST(gap_in_time_beyond_a_delta_splits_the_message) {
  TwccRecorder recorder;
  recorder.receive(1, 0);
  recorder.receive(2, 20 * kSecond);
  const auto first = build(recorder, 20 * kSecond);
  CHECK_EQ(first->count, 1);
  const auto second = build(recorder, 20 * kSecond);
  CHECK_EQ(second->base, 2);
  CHECK_EQ(second->arrivals.at(2), 20 * kSecond);
}

TEST(every_pattern_of_loss_survives_the_encoding) {
  // A pseudo-random walk over loss, reorder and delay.
  std::uint32_t state = 1;
  const auto random = [&state](std::uint32_t limit) {
    state = state * 1'664'525U + 1'013'904'223U;
    return (state >> 8) % limit;
  };
  TwccRecorder recorder;
  std::map<int, TimeNs> expected;
  std::map<int, TimeNs> reported;
  TimeNs now = 0;
  for (int i = 0; i < 3000; ++i) {
    now += random(3) == 0 ? random(80) * kMs : random(4) * 250 * kMicrosecond;
    const auto seq = static_cast<std::uint16_t>(60'000 + i);
    if (random(100) >= (i / 500 % 2 == 0 ? 10U : 70U)) {
      recorder.receive(seq, now);
      expected[seq] = now / (250 * kMicrosecond) * (250 * kMicrosecond);
    }
    if (random(60) == 0) {
      while (const auto feedback = build(recorder, now, 60 + random(1000))) {
        reported.insert(feedback->arrivals.begin(), feedback->arrivals.end());
      }
    }
  }
  while (const auto feedback = build(recorder, now)) {
    reported.insert(feedback->arrivals.begin(), feedback->arrivals.end());
  }
  CHECK(reported == expected);
}
