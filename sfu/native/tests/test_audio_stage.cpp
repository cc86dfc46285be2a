#include "audio_stage.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "check.h"

using namespace parley;

namespace {

constexpr TimeNs kFrame = 20 * kMillisecond;

// A room of ten, all silent but for who is told to speak.
struct Stage {
  AudioStage stage;
  std::array<Voice, 10> voices;
  TimeNs now = kSecond;
  int entrances = 0;

  explicit Stage(std::uint32_t places) {
    for (Voice& voice : voices) {
      stage.join(voice);
    }
    stage.set_places(places, now);
  }
  ~Stage() {
    for (Voice& voice : voices) {
      stage.leave(voice);
    }
  }
  // One packet of everyone; `loud` speak at -30 dBov, with pauses between words.
  void round(std::initializer_list<std::size_t> loud) {
    for (std::size_t i = 0; i < voices.size(); ++i) {
      const bool speaks = std::ranges::find(loud, i) != loud.end() && now / kFrame % 15 < 10;
      const AudioLevel level{.dbov = static_cast<std::uint8_t>(speaks ? 30 : 80), .voice = speaks};
      entrances += stage.receive(voices[i], level, now) ? 1 : 0;
    }
    now += kFrame;
  }
  void run(TimeNs duration, std::initializer_list<std::size_t> loud) {
    for (const TimeNs end = now + duration; now < end;) {
      round(loud);
    }
  }
  std::size_t heard() const {
    return static_cast<std::size_t>(std::ranges::count_if(voices, [](const Voice& v) { return v.is_heard; }));
  }
};

}  // namespace

TEST(without_places_everyone_is_heard) {
  Stage stage(0);
  stage.run(kSecond, {3});
  CHECK_EQ(stage.heard(), 10U);
  CHECK_EQ(stage.entrances, 0);
}

TEST(exactly_as_many_are_heard_as_there_are_places) {
  Stage stage(3);
  CHECK_EQ(stage.heard(), 3U);
  stage.run(kSecond, {7, 8, 9});
  CHECK_EQ(stage.heard(), 3U);
  CHECK(stage.voices[7].is_heard && stage.voices[8].is_heard && stage.voices[9].is_heard);
}

TEST(who_speaks_up_is_heard_with_the_second_packet) {
  Stage stage(3);
  stage.run(3 * kSecond, {0, 1});
  while (stage.now / kFrame % 15 != 0) {
    stage.round({0, 1});
  }
  stage.round({0, 1, 9});
  stage.round({0, 1, 9});
  CHECK(stage.voices[9].is_heard);
  CHECK(stage.voices[0].is_heard && stage.voices[1].is_heard);
}

TEST(a_fourth_voice_as_loud_as_three_waits_for_a_pause) {
  Stage stage(3);
  stage.run(2 * kSecond, {0, 1, 2});
  stage.entrances = 0;
  stage.run(2 * kSecond, {0, 1, 2, 3});
  CHECK_EQ(stage.entrances, 0);
  CHECK(!stage.voices[3].is_heard);
  stage.run(500 * kMillisecond, {0, 1, 3});
  CHECK(stage.voices[3].is_heard);
  CHECK(!stage.voices[2].is_heard);
}

TEST(silence_moves_nobody) {
  Stage stage(3);
  stage.run(2 * kSecond, {4, 5, 6});
  stage.entrances = 0;
  stage.run(60 * kSecond, {});
  CHECK_EQ(stage.entrances, 0);
  CHECK(stage.voices[4].is_heard && stage.voices[5].is_heard && stage.voices[6].is_heard);
}

TEST(voices_that_take_turns_do_not_flap) {
  Stage stage(3);
  stage.run(2 * kSecond, {0, 1, 2, 3});
  stage.entrances = 0;
  for (int turn = 0; turn < 30; ++turn) {
    stage.run(kSecond, {static_cast<std::size_t>(turn % 3)});
  }
  CHECK(stage.entrances <= 1);
}

TEST(a_liar_does_not_hold_a_place_for_ever) {
  Stage stage(1);
  Voice& liar = stage.voices[0];
  TimeNs waited = 0;
  const TimeNs start = stage.now;
  // It claims a shout, with pauses that make it look like speech; somebody speaks all the while.
  for (; stage.now < start + 120 * kSecond && waited == 0; stage.now += kFrame) {
    const bool is_word = stage.now / kFrame % 15 < 10;
    stage.stage.receive(liar, AudioLevel{.dbov = static_cast<std::uint8_t>(is_word ? 0 : 90), .voice = true},
                        stage.now);
    const bool entered = stage.stage.receive(
        stage.voices[1], AudioLevel{.dbov = static_cast<std::uint8_t>(is_word ? 30 : 80), .voice = is_word}, stage.now);
    waited = entered ? stage.now - start : 0;
  }
  CHECK(waited > 0);
  CHECK(waited < 60 * kSecond);
}

TEST(tracks_without_levels_take_turns_and_yield_to_a_voice) {
  Stage stage(1);
  std::array<TimeNs, 3> heard{};
  for (int i = 0; i < 120 * 50; ++i, stage.now += kFrame) {
    for (std::size_t who = 0; who < 3; ++who) {
      stage.stage.receive(stage.voices[who], std::nullopt, stage.now);
      heard[who] += stage.voices[who].is_heard ? kFrame : 0;
    }
  }
  for (const TimeNs time : heard) {
    CHECK(time > 10 * kSecond);
  }
  for (int i = 0; i < 3; ++i, stage.now += kFrame) {
    stage.stage.receive(stage.voices[5], AudioLevel{.dbov = 30, .voice = true}, stage.now);
  }
  CHECK(stage.voices[5].is_heard);
}

TEST(a_place_that_falls_vacant_goes_to_the_next_packet) {
  Stage stage(3);
  stage.run(kSecond, {0, 1, 2});
  stage.stage.leave(stage.voices[1]);
  CHECK(stage.voices[1].is_heard);  // competes no more
  stage.run(kFrame, {});
  CHECK(stage.voices[3].is_heard);
}

TEST(fewer_places_keep_the_loudest_and_none_end_the_contest) {
  Stage stage(0);
  stage.run(2 * kSecond, {2, 5});
  stage.stage.set_places(2, stage.now);
  CHECK_EQ(stage.heard(), 2U);
  CHECK(stage.voices[2].is_heard && stage.voices[5].is_heard);
  stage.stage.set_places(4, stage.now);
  stage.run(kFrame, {});
  CHECK_EQ(stage.heard(), 4U);
  stage.stage.set_places(0, stage.now);
  CHECK_EQ(stage.heard(), 10U);
}

TEST(a_stage_lives_as_long_as_it_has_tracks_or_places) {
  AudioStages stages;
  Voice voice;
  stages.set_places(7, 0, kSecond);
  CHECK_EQ(stages.size(), 0U);
  stages.set_places(7, 3, kSecond);
  stages.join(7, voice);
  CHECK_EQ(stages.size(), 1U);
  CHECK(voice.is_heard);
  stages.set_places(7, 0, kSecond);
  CHECK_EQ(stages.size(), 1U);
  stages.leave(voice);
  CHECK_EQ(stages.size(), 0U);
  stages.leave(voice);
}
