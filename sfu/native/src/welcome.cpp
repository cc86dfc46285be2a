#include "welcome.h"

#include <algorithm>

#include "forward.h"
#include "track.h"

namespace parley {

namespace {

std::optional<Welcome> find_picture(const Encoding& encoding, TimeNs since, TimeNs now) {
  if (!encoding.keyframe) {
    return std::nullopt;
  }
  const Welcome found{.encoding = &encoding, .first = *encoding.keyframe, .last = encoding.store.highest()};
  if (found.last - found.first >= Welcome::kMaxPackets) {
    return std::nullopt;
  }
  for (std::int64_t ext_seq = found.first; ext_seq <= found.last; ++ext_seq) {
    const Packet* packet = encoding.store.get(ext_seq, now);
    if (packet == nullptr || packet->arrival < since) {
      return std::nullopt;
    }
  }
  return found;
}

std::optional<Welcome> find_sound(const Encoding& encoding, TimeNs since, TimeNs now) {
  const std::int64_t newest = encoding.store.highest();
  const Packet* packet = encoding.store.get(newest, now);
  if (packet == nullptr || packet->arrival < std::max(since, now - Welcome::kMaxSoundAge)) {
    return std::nullopt;
  }
  return Welcome{.encoding = &encoding, .first = newest, .last = newest};
}

}  // namespace

bool Welcome::keeps(TimeNs now) const {
  const Packet* packet = encoding->store.get(first, now);
  return packet != nullptr && now - packet->arrival < kMaxAge / 2 && last - first < kMaxPackets / 2;
}

std::optional<Welcome> find_welcome(const Forward& forward, TimeNs now) {
  const Track& track = *forward.track;
  const int wanted = forward.layers.wanted();
  if (wanted < 0 || static_cast<std::size_t>(wanted) >= track.encodings.size()) {
    return std::nullopt;
  }
  const Encoding& encoding = *track.encodings[static_cast<std::size_t>(wanted)];
  if (encoding.store.is_empty()) {
    return std::nullopt;
  }
  TimeNs since = now - Welcome::kMaxAge;
  if (forward.is_outside()) {
    since = std::max(since, forward.open_since + 1);
  }
  return track.is_video ? find_picture(encoding, since, now) : find_sound(encoding, since, now);
}

}  // namespace parley
