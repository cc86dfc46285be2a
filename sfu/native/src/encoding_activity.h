// Which encodings of a track send at present.
// Thread: the worker that owns the track.
#pragma once

#include <array>
#include <cstdint>

#include "units.h"

namespace parley {

inline constexpr std::size_t kMaxEncodings = 8;

class EncodingActivity {
 public:
  explicit EncodingActivity(TimeNs silence = 500 * kMillisecond) : silence_(silence) {}

  // True when the set of active encodings changed. `encoding` < kMaxEncodings, others are ignored.
  bool receive(std::size_t encoding, TimeNs now) {
    if (encoding >= kMaxEncodings) {
      return false;
    }
    last_[encoding] = now;
    const auto before = active_;
    active_ |= 1U << encoding;
    return active_ != before;
  }

  // Encodings silent for longer than `silence` go out; true when the set changed. Call about ten times a second.
  bool tick(TimeNs now) {
    const auto before = active_;
    for (std::size_t i = 0; i < kMaxEncodings; ++i) {
      if (now - last_[i] > silence_) {
        active_ &= ~(1U << i);
      }
    }
    return active_ != before;
  }

  [[nodiscard]] std::uint32_t active() const { return active_; }

 private:
  TimeNs silence_;
  std::array<TimeNs, kMaxEncodings> last_{};
  std::uint32_t active_ = 0;
};

}  // namespace parley
