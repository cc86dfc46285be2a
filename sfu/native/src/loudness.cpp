#include "loudness.h"

#include <algorithm>

namespace parley {

namespace {

constexpr double kLoudest = 112;      // -15 dBov: what a loud voice reaches
constexpr double kUnvoiced = 10;      // counts so many dB less where the sender hears no voice
constexpr double kSteady = 30;        // and so many less for a level that stays near its own floor
constexpr double kSwing = 6;          // how far above its floor a voice rises
constexpr double kFloorRisePerS = 6;  // speech dips to its floor every few seconds
constexpr double kFallPerS = 15;
constexpr double kAttack = 0.6;    // of the way up with each packet
constexpr double kFreshS = 20;     // of talking before it counts less
constexpr double kMostTired = 20;  // dB
constexpr double kLongestFrameS = 0.12;
constexpr double kPatienceS = 60;     // of waiting that is remembered
constexpr double kWaitingPerS = 0.1;  // dB that a track without levels gains on others by waiting

double seconds_of(TimeNs duration) { return to_seconds(std::max<TimeNs>(duration, 0)); }

}  // namespace

void Loudness::receive(std::optional<AudioLevel> level, bool is_heard, TimeNs now) {
  if (!level) {
    is_untold_ = true;
    score_ = kUntold;
    tire(is_heard, now);
    return;
  }
  is_untold_ = false;
  const double told = 127.0 - level->dbov;
  const double risen = last_ == 0 ? floor_ : floor_ + kFloorRisePerS * seconds_of(now - last_);
  floor_ = std::min(told, risen);
  double heard = std::min(told, kLoudest);
  heard -= level->voice ? 0 : kUnvoiced;
  heard -= told - floor_ < kSwing ? kSteady : 0;
  const double before = level_at(now);
  score_ = heard > before ? before + kAttack * (heard - before) : before;
  tire(is_heard && score_ >= kAudible, now);
}

void Loudness::tire(bool is_talking, TimeNs now) {
  const double passed = last_ == 0 ? 0 : seconds_of(now - last_);
  airtime_s_ += is_talking ? std::min(passed, kLongestFrameS) : -passed;
  airtime_s_ = std::clamp(airtime_s_, -kPatienceS, kFreshS + kMostTired);
  last_ = now;
}

double Loudness::level_at(TimeNs now) const { return std::max(score_ - kFallPerS * seconds_of(now - last_), kSilence); }

double Loudness::at(TimeNs now) const {
  const double tired = std::max(airtime_s_ - kFreshS, 0.0);  // a dB a second
  const double waited = is_untold_ ? std::max(-airtime_s_, 0.0) * kWaitingPerS : 0;
  return std::max(level_at(now) + waited - tired, kSilence);
}

}  // namespace parley
