#include "bwe/trendline.h"

#include <algorithm>
#include <cmath>

namespace parley {

namespace {

constexpr double kSmoothing = 0.9;
constexpr double kGain = 4.0;
constexpr std::uint32_t kMaxGroups = 60;
constexpr double kOverForMs = 10;
constexpr double kStepUp = 0.0087;   // the threshold follows a jittery path slowly upwards,
constexpr double kStepDown = 0.039;  // and a calm one quickly down
constexpr double kOutlierMs = 15;    // a trend so far above the threshold is a change of route, not jitter
constexpr double kMinThreshold = 6;
constexpr double kMaxThreshold = 600;
constexpr double kMaxStepMs = 100;

double to_ms(TimeNs time) { return static_cast<double>(time) / static_cast<double>(kMillisecond); }

}  // namespace

void Trendline::receive(const GroupDelta& delta) {
  if (groups_ == 0) {
    first_arrived_ = delta.arrived;
  }
  groups_ = std::min(groups_ + 1, kMaxGroups);
  delay_ms_ += to_ms(delta.arrival - delta.send);
  smoothed_ms_ = kSmoothing * smoothed_ms_ + (1 - kSmoothing) * delay_ms_;
  points_[next_] = Point{to_ms(delta.arrived - first_arrived_), smoothed_ms_};
  next_ = (next_ + 1) % kWindow;
  count_ = std::min(count_ + 1, kWindow);
  if (count_ == kWindow) {
    trend_ = slope() * kGain * groups_;
  }
  detect(to_ms(delta.send));
  adapt(to_ms(delta.arrived - first_arrived_));
}

double Trendline::slope() const {
  double mean_time = 0;
  double mean_delay = 0;
  for (const Point& point : points_) {
    mean_time += point.time_ms;
    mean_delay += point.delay_ms;
  }
  mean_time /= kWindow;
  mean_delay /= kWindow;
  double covariance = 0;
  double variance = 0;
  for (const Point& point : points_) {
    covariance += (point.time_ms - mean_time) * (point.delay_ms - mean_delay);
    variance += (point.time_ms - mean_time) * (point.time_ms - mean_time);
  }
  return variance > 0 ? covariance / variance : 0;
}

void Trendline::detect(double send_delta_ms) {
  if (trend_ > threshold_) {
    over_for_ms_ = over_for_ms_ < 0 ? send_delta_ms / 2 : over_for_ms_ + send_delta_ms;
    ++over_count_;
    if (over_for_ms_ > kOverForMs && over_count_ > 1 && trend_ >= last_trend_) {
      over_for_ms_ = 0;
      over_count_ = 0;
      use_ = PathUse::kOver;
    }
  } else {
    over_for_ms_ = -1;
    over_count_ = 0;
    use_ = trend_ < -threshold_ ? PathUse::kUnder : PathUse::kNormal;
  }
  last_trend_ = trend_;
}

void Trendline::adapt(double arrived_ms) {
  if (adapted_at_ms_ < 0) {
    adapted_at_ms_ = arrived_ms;
  }
  const double size = std::abs(trend_);
  if (size <= threshold_ + kOutlierMs) {
    const double step = size < threshold_ ? kStepDown : kStepUp;
    const double elapsed = std::clamp(arrived_ms - adapted_at_ms_, 0.0, kMaxStepMs);
    threshold_ = std::clamp(threshold_ + step * (size - threshold_) * elapsed, kMinThreshold, kMaxThreshold);
  }
  adapted_at_ms_ = arrived_ms;
}

}  // namespace parley
