// The loudness of one audio track over the last 200 ms, from the audio-level extension.
// Thread: the worker that owns the track. Source: RFC 6464.
#pragma once

#include <cstdint>
#include <optional>

#include "rtp_view.h"

namespace parley {

class AudioLevelMeter {
 public:
  void receive(const AudioLevel& level) {
    sum_ += level.dbov;
    voiced_ += level.voice ? 1U : 0U;
    ++count_;
  }

  // The mean level since the last call, `voice` when at least half of the packets had it; nothing without packets.
  std::optional<AudioLevel> take() {
    if (count_ == 0) {
      return std::nullopt;
    }
    const AudioLevel mean{.dbov = static_cast<std::uint8_t>((sum_ + count_ / 2) / count_),
                          .voice = voiced_ * 2 >= count_};
    sum_ = voiced_ = count_ = 0;
    return mean;
  }

 private:
  std::uint32_t sum_ = 0;
  std::uint32_t voiced_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace parley
