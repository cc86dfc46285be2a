#include "bwe/acked_rate.h"

#include <algorithm>
#include <cmath>

namespace parley {

namespace {

constexpr TimeNs kMaxGap = kSecond;
constexpr double kUncertainty = 10.0;     // a sample's standard deviation, in per cent of its distance from the mean
constexpr double kProcessNoise = 5.0;     // kbps squared per window

}  // namespace

void AckedRate::receive(std::uint32_t bytes, TimeNs arrived) {
  if (!is_started_ || arrived - last_ > kMaxGap || last_ - arrived > kMaxGap) {
    is_started_ = true;
    start_ = last_ = arrived;
    bytes_ = bytes;
    return;
  }
  const TimeNs window = has_rate_ ? kWindow : kFirstWindow;
  if (arrived - start_ >= window) {
    close_window(arrived - start_);
    start_ = arrived;
    bytes_ = 0;
  }
  last_ = std::max(last_, arrived);
  bytes_ += bytes;
}

// A Kalman step whose measurement noise grows with how far the sample lies from the mean: single odd windows move the
// rate little, a lasting change moves it within a few.
void AckedRate::close_window(TimeNs length) {
  const double sample = static_cast<double>(bytes_) * 8 * static_cast<double>(kSecond) / static_cast<double>(length);
  if (!has_rate_) {
    rate_ = sample;
    has_rate_ = true;
    return;
  }
  const double mean_kbps = rate_ / 1000;
  const double sample_kbps = sample / 1000;
  const double deviation = kUncertainty * std::abs(mean_kbps - sample_kbps) / std::max(mean_kbps, 1.0);
  const double noise = deviation * deviation;
  const double predicted = variance_ + kProcessNoise;
  rate_ = 1000 * (noise * mean_kbps + predicted * sample_kbps) / (noise + predicted);
  variance_ = noise * predicted / std::max(noise + predicted, 1e-9);
}

}  // namespace parley
