// How many bits a second each layer of one encoding takes, smoothed over seconds, so that keyframes do not look like
// rates. Thread: the worker that owns the track.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "units.h"

namespace parley {

class LayerRates {
 public:
  static constexpr std::size_t kSpatial = 4;
  static constexpr std::size_t kTemporal = 4;
  static constexpr TimeNs kWindow = 500 * kMillisecond;
  static constexpr double kSmoothing = 0.4;  // of a new window

  void receive(std::size_t spatial, std::size_t temporal, std::size_t bytes) {
    bytes_[std::min(spatial, kSpatial - 1)][std::min(temporal, kTemporal - 1)] += bytes;
  }

  // Closes the window when it is over; true when it was.
  bool tick(TimeNs now) {
    if (started_ == 0) {
      started_ = now;
      return false;
    }
    const TimeNs length = now - started_;
    if (length < kWindow) {
      return false;
    }
    const double scale = 8 * static_cast<double>(kSecond) / static_cast<double>(length);
    for (std::size_t spatial = 0; spatial < kSpatial; ++spatial) {
      for (std::size_t temporal = 0; temporal < kTemporal; ++temporal) {
        double& rate = rates_[spatial][temporal];
        const double sample = static_cast<double>(bytes_[spatial][temporal]) * scale;
        rate = rate == 0 ? sample : rate + kSmoothing * (sample - rate);
        if (rate < 1) {
          rate = 0;
        }
      }
    }
    bytes_ = {};
    started_ = now;
    return true;
  }

  // Bits a second of everything that a forward up to these layers carries.
  [[nodiscard]] std::uint32_t up_to(std::size_t spatial, std::size_t temporal) const {
    double sum = 0;
    for (std::size_t s = 0; s <= std::min(spatial, kSpatial - 1); ++s) {
      for (std::size_t t = 0; t <= std::min(temporal, kTemporal - 1); ++t) {
        sum += rates_[s][t];
      }
    }
    return static_cast<std::uint32_t>(std::min(sum, 4e9));
  }
  // Of all layers together.
  [[nodiscard]] std::uint32_t total() const { return up_to(kSpatial - 1, kTemporal - 1); }
  [[nodiscard]] bool has(std::size_t spatial, std::size_t temporal) const {
    return spatial < kSpatial && temporal < kTemporal && rates_[spatial][temporal] > 0;
  }

 private:
  std::array<std::array<std::uint64_t, kTemporal>, kSpatial> bytes_{};
  std::array<std::array<double, kTemporal>, kSpatial> rates_{};
  TimeNs started_ = 0;
};

}  // namespace parley
