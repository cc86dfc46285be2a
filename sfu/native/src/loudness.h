// How loud a track is to a listener, from the audio levels of its packets. Rises within two packets, so that a first
// syllable counts, and falls slowly, so that a pause between words does not. A level that hardly moves for seconds is
// no voice (a fan, a tone, a made-up figure), and none is louder than a loud voice. Who has been heard without a pause
// for long counts less against others, so that nobody holds a place for ever by claiming to be loud. Thread: the worker
// that owns the track. Source: RFC 6464.
#pragma once

#include <optional>

#include "rtp_view.h"
#include "units.h"

namespace parley {

class Loudness {
 public:
  // dB above the quietest level (-127 dBov).
  static constexpr double kSilence = 0;
  static constexpr double kAudible = 67;  // -60 dBov: below it nobody speaks
  // Of a track that tells no level: below any voice, above silence. Such tracks take turns.
  static constexpr double kUntold = 82;  // -45 dBov

  // Nothing: the packet has no level. `is_heard`: the track has a place.
  void receive(std::optional<AudioLevel> level, bool is_heard, TimeNs now);

  [[nodiscard]] double at(TimeNs now) const;

 private:
  void tire(bool is_talking, TimeNs now);
  [[nodiscard]] double level_at(TimeNs now) const;

  double score_ = kSilence;
  double floor_ = 27;     // the quietest of late: -100 dBov to begin with
  double airtime_s_ = 0;  // grows by talking, shrinks by pauses; negative: waited
  bool is_untold_ = false;
  TimeNs last_ = 0;
};

}  // namespace parley
