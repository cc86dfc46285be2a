#include "batch_window.h"

#include "check.h"

using namespace parley;

namespace {

constexpr TimeNs kCoalesce = 2 * kMillisecond;

// Makes a window believe in a load: packets sent and sounds received a second, and the share of time it was busy.
void load(BatchWindow& window, TimeNs& now, double sent_per_s, int sounds_per_s, double busy) {
  static std::uint64_t sent = 0;
  for (int tick = 0; tick < 200; ++tick) {
    for (int sound = 0; sound < sounds_per_s / 20; ++sound) {
      window.receive(false, true, now, 0);
      window.flushed(now);
    }
    now += 50 * kMillisecond;
    sent += static_cast<std::uint64_t>(sent_per_s / 20);
    window.note_busy(static_cast<TimeNs>(busy * 50 * kMillisecond), sent, now);
  }
}

}  // namespace

TEST(nothing_gathers_while_little_is_sent) {
  BatchWindow window(kCoalesce);
  TimeNs now = kSecond;
  CHECK_EQ(window.deadline(), kNever);
  load(window, now, 1000, 50, 0.01);
  window.receive(true, true, now, 0);
  CHECK_EQ(window.deadline(), now);
  CHECK(window.is_due(now, true));
}

TEST(nothing_gathers_on_a_busy_worker) {
  BatchWindow window(kCoalesce);
  TimeNs now = kSecond;
  load(window, now, 500'000, 50, 0.8);
  window.receive(true, true, now, 0);
  CHECK(window.is_due(now, true));
}

TEST(video_gathers_until_its_frame_is_whole) {
  BatchWindow window(kCoalesce);
  TimeNs now = kSecond;
  load(window, now, 10'000, 50, 0.1);
  window.receive(true, true, now, 0);
  CHECK(!window.is_due(now + kCoalesce - 1, false));
  CHECK(!window.is_due(now + kCoalesce, true));
  CHECK_EQ(window.deadline(), now + 3 * kCoalesce / 2);
  CHECK(!window.is_due(now + 3 * kCoalesce / 2 - 1, false));
  CHECK(window.is_due(now + 3 * kCoalesce / 2, false));
  window.flushed(now + 2 * kCoalesce);
  CHECK_EQ(window.deadline(), kNever);
}

TEST(the_first_look_comes_when_frames_are_whole_lately) {
  BatchWindow window(kCoalesce);
  TimeNs now = kSecond;
  load(window, now, 10'000, 50, 0.1);
  int looks = 0;
  TimeNs waited = 0;
  // `span`: from a frame's first packet to its last.
  const auto frame = [&](TimeNs span) {
    now += 32 * kMillisecond;
    window.receive(true, true, now, 0);
    for (++looks; !window.is_due(window.deadline(), window.deadline() < now + span); ++looks) {
    }
    waited = window.deadline() - now - span;
    window.flushed(window.deadline());
  };
  for (int count = 0; count < 20; ++count) {
    frame(5 * kMillisecond);
  }
  looks = 0;
  for (int count = 0; count < 100; ++count) {
    frame(5 * kMillisecond);
    CHECK(waited >= 0 && waited <= kCoalesce / 2 + kCoalesce / 16);
  }
  CHECK(looks <= 115);
  // Frames that become shorter are held back for so long no more.
  for (int count = 0; count < 30; ++count) {
    frame(kMillisecond);
  }
  CHECK_EQ(waited, kCoalesce - kMillisecond);
}

TEST(frames_of_several_tracks_are_looked_at_in_every_window) {
  BatchWindow window(kCoalesce);
  TimeNs now = kSecond;
  load(window, now, 10'000, 50, 0.1);
  for (int count = 0; count < 20; ++count) {  // so that the first look at one would come later
    now += 32 * kMillisecond;
    window.receive(true, true, now, 0);
    while (!window.is_due(window.deadline(), window.deadline() < now + 5 * kMillisecond)) {
    }
    window.flushed(window.deadline());
  }
  now += 32 * kMillisecond;
  window.receive(true, true, now, 0);
  CHECK(window.deadline() > now + 2 * kCoalesce);
  window.receive(true, true, now + kMillisecond, 0);
  CHECK_EQ(window.deadline(), now + kCoalesce);
  CHECK(!window.is_due(now + kCoalesce, true));
  CHECK_EQ(window.deadline(), now + 2 * kCoalesce);
  CHECK(!window.is_due(now + 2 * kCoalesce, true));
  CHECK(window.is_due(now + 3 * kCoalesce, true));
}

TEST(no_frame_is_waited_for_longer_than_three_windows) {
  BatchWindow window(kCoalesce);
  TimeNs now = kSecond;
  load(window, now, 10'000, 50, 0.1);
  window.receive(true, true, now, 0);
  TimeNs at = window.deadline();
  while (!window.is_due(at, true)) {
    window.receive(true, false, at, 0);
    CHECK(window.deadline() > at);
    at = window.deadline();
  }
  CHECK_EQ(at, now + 3 * kCoalesce);
}

TEST(where_many_frames_are_under_way_none_is_waited_for) {
  BatchWindow window(kCoalesce);
  TimeNs now = kSecond;
  load(window, now, 200'000, 50, 0.3);
  window.receive(true, true, now, 0);
  CHECK(!window.is_due(now + kCoalesce - 1, true));
  CHECK(window.is_due(now + kCoalesce, true));
}

TEST(sound_waits_for_other_sound_alone) {
  BatchWindow window(kCoalesce);
  TimeNs now = kSecond;
  load(window, now, 10'000, 100, 0.1);
  window.receive(false, true, now, 0);
  CHECK(window.is_due(now, false));
  window.flushed(now);
  load(window, now, 10'000, 400, 0.1);
  window.receive(false, true, now, 0);
  CHECK_EQ(window.deadline(), now + kCoalesce);
}

TEST(video_behind_sound_gathers_from_then_on) {
  BatchWindow window(kCoalesce);
  TimeNs now = kSecond;
  load(window, now, 10'000, 100, 0.1);
  window.receive(false, true, now, 0);
  window.receive(true, true, now, 0);
  CHECK_EQ(window.deadline(), now + kCoalesce);
  window.flushed(now + kCoalesce);
  window.receive(false, true, now + kSecond, 0);
  CHECK_EQ(window.deadline(), now + kSecond);
}

TEST(what_waited_in_another_workers_batch_waits_no_second_time) {
  BatchWindow window(kCoalesce);
  TimeNs now = kSecond;
  load(window, now, 10'000, 50, 0.1);
  window.receive(true, true, now, kCoalesce);
  CHECK(window.is_due(now, true));
  window.flushed(now);
  window.receive(true, true, now, kCoalesce);
  CHECK_EQ(window.deadline(), now + kCoalesce / 2);
}

TEST(sound_that_begins_a_batch_waits_no_longer_for_its_frame) {
  BatchWindow window(kCoalesce);
  TimeNs now = kSecond;
  load(window, now, 10'000, 400, 0.1);
  window.receive(false, true, now, 0);
  window.receive(true, true, now + kCoalesce - 1, 0);
  TimeNs at = window.deadline();
  while (!window.is_due(at, true)) {
    at = window.deadline();
  }
  CHECK(at <= now + 3 * kCoalesce);
}

TEST(a_worker_that_becomes_busy_holds_nothing_back) {
  BatchWindow window(kCoalesce);
  TimeNs now = kSecond;
  load(window, now, 10'000, 50, 0.1);
  window.receive(true, true, now, 0);
  window.note_busy(kSecond, 1'000'000, now + kSecond);
  CHECK(window.is_due(now + kSecond, true));
}
