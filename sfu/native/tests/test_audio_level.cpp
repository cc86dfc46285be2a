#include "audio_level.h"

#include "check.h"

using namespace parley;

TEST(mean_level_since_the_last_call) {
  AudioLevelMeter meter;
  CHECK(!meter.take().has_value());
  meter.receive({.dbov = 10, .voice = true});
  meter.receive({.dbov = 21, .voice = false});
  const auto level = meter.take();
  CHECK_EQ(level->dbov, 16);
  CHECK(level->voice);
  CHECK(!meter.take().has_value());
}

TEST(voice_in_less_than_half_of_the_packets_is_noise) {
  AudioLevelMeter meter;
  meter.receive({.dbov = 127, .voice = true});
  meter.receive({.dbov = 127, .voice = false});
  meter.receive({.dbov = 127, .voice = false});
  CHECK(!meter.take()->voice);
}
