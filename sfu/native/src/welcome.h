// What a forward that begins is sent at once from its track's store: the picture from its last keyframe on, and of
// sound the newest packet. Without it a subscriber waits for the publisher's next keyframe, and everybody pays for that
// one. Thread: the worker that owns the track.
#pragma once

#include <cstdint>
#include <optional>

#include "units.h"

namespace parley {

struct Encoding;
struct Forward;

struct Welcome {
  // Catching up with more, or with older pictures, takes longer than waiting for the next keyframe.
  static constexpr std::int64_t kMaxPackets = 256;
  static constexpr TimeNs kMaxAge = 300 * kMillisecond;
  static constexpr TimeNs kMaxSoundAge = 100 * kMillisecond;

  const Encoding* encoding = nullptr;
  std::int64_t first = 0;  // numbers in the encoding's store, without a hole
  std::int64_t last = 0;

  // Whether it will most likely still be there when a handshake that goes on now is done.
  [[nodiscard]] bool keeps(TimeNs now) const;
};

// Nothing unless everything is there that a decoder needs to be where everybody else is. Whoever is in the room may see
// the moment before; what leads outside it gets nothing from before its gate was seen open.
[[nodiscard]] std::optional<Welcome> find_welcome(const Forward& forward, TimeNs now);

}  // namespace parley
