#include "loudness.h"

#include "check.h"

using namespace parley;

namespace {

constexpr TimeNs kFrame = 20 * kMillisecond;

struct Speaker {
  Loudness loudness;
  TimeNs now = kSecond;

  // So many packets at a level; `voice` as the sender's detector says.
  void say(int packets, int dbov, bool voice = true, bool is_heard = false) {
    for (int i = 0; i < packets; ++i, now += kFrame) {
      loudness.receive(AudioLevel{.dbov = static_cast<std::uint8_t>(dbov), .voice = voice}, is_heard, now);
    }
  }
  // Words of 200 ms with pauses of 100 ms between.
  void speak(TimeNs duration, int dbov, bool is_heard = false) {
    for (const TimeNs end = now + duration; now < end;) {
      say(10, dbov, true, is_heard);
      say(5, 75, false, is_heard);
    }
  }
  double at() const { return loudness.at(now); }
};

}  // namespace

TEST(a_voice_is_audible_within_two_packets) {
  Speaker speaker;
  speaker.say(50, 90, false);
  CHECK(speaker.at() < Loudness::kAudible);
  speaker.say(2, 30);
  CHECK(speaker.at() > Loudness::kAudible);
  speaker.say(2, 30);
  CHECK(speaker.at() > 127 - 30 - 5);
}

TEST(a_pause_between_words_is_no_silence_but_a_long_one_is) {
  Speaker speaker;
  speaker.speak(2 * kSecond, 30);
  speaker.say(20, 90, false);
  CHECK(speaker.at() > 127 - 30 - 10);
  speaker.say(150, 90, false);
  CHECK(speaker.at() < Loudness::kAudible);
}

TEST(a_track_without_packets_fades) {
  Speaker speaker;
  speaker.say(10, 30);
  speaker.now += 10 * kSecond;
  CHECK_EQ(speaker.at(), Loudness::kSilence);
}

TEST(speech_stays_loud_however_long_the_others_are_heard) {
  Speaker speaker;
  speaker.speak(60 * kSecond, 30);  // not heard itself: it does not tire
  CHECK(speaker.at() > 127 - 30 - 6);
}

TEST(a_level_that_never_changes_is_no_voice) {
  Speaker liar;
  liar.say(20 * 50, 0);
  CHECK(liar.at() < 127 - 40);
  Speaker fan;
  for (int i = 0; i < 20 * 50; ++i) {
    fan.say(1, 48 + i % 3, true);
  }
  CHECK(fan.at() < Loudness::kAudible);
}

TEST(nobody_is_louder_than_a_loud_voice) {
  Speaker liar;
  Speaker loud;
  liar.speak(5 * kSecond, 0);
  loud.speak(5 * kSecond, 15);
  CHECK(liar.at() - loud.at() < 1);
}

TEST(sound_without_voice_counts_less) {
  Speaker music;
  Speaker voice;
  music.say(10, 30, false);
  voice.say(10, 30, true);
  CHECK(voice.at() - music.at() > 8);
}

TEST(who_holds_a_place_for_long_counts_less_until_rested) {
  Speaker speaker;
  speaker.speak(15 * kSecond, 25, true);
  const double fresh = speaker.at();
  speaker.speak(60 * kSecond, 25, true);
  CHECK(fresh - speaker.at() > 15);
  CHECK(speaker.at() > Loudness::kAudible);  // still louder than anything but a voice
  speaker.speak(30 * kSecond, 25, false);
  CHECK(speaker.at() > fresh - 5);
}

TEST(a_track_that_tells_no_level_lies_between_silence_and_speech) {
  Loudness untold;
  untold.receive(std::nullopt, false, kSecond);
  CHECK_EQ(untold.at(kSecond), Loudness::kUntold);
  Speaker quiet;
  quiet.say(50, 65, false);
  CHECK(untold.at(kSecond) > quiet.at());
  Speaker voice;
  voice.speak(kSecond, 35);
  CHECK(untold.at(kSecond) + 3 < voice.at());
}
