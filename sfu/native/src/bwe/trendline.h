// Whether the queue on the path grows: the slope of the smoothed one-way delay over the last groups, against a
// threshold that adapts to how much the path jitters. Thread: the worker that owns the transport. Source:
// draft-ietf-rmcat-gcc-02 sections 5.4 and 5.5; Carlucci et al., "Congestion Control for Web Real-Time Communication",
// IEEE/ACM ToN 25(5), 2017 (adaptive threshold).
#pragma once

#include <array>
#include <cstdint>

#include "bwe/inter_arrival.h"
#include "units.h"

namespace parley {

enum class PathUse : std::uint8_t { kNormal, kOver, kUnder };

class Trendline {
 public:
  static constexpr std::size_t kWindow = 20;

  void receive(const GroupDelta& delta);

  [[nodiscard]] PathUse use() const { return use_; }
  // The slope, scaled to be compared with threshold(); both in milliseconds.
  [[nodiscard]] double trend() const { return trend_; }
  [[nodiscard]] double threshold() const { return threshold_; }

 private:
  struct Point {
    double time_ms = 0;
    double delay_ms = 0;
  };

  [[nodiscard]] double slope() const;
  void detect(double send_delta_ms);
  void adapt(double arrived_ms);

  std::array<Point, kWindow> points_{};
  std::size_t count_ = 0;
  std::size_t next_ = 0;
  std::uint32_t groups_ = 0;
  TimeNs first_arrived_ = 0;
  double delay_ms_ = 0;  // accumulated
  double smoothed_ms_ = 0;
  double trend_ = 0;
  double last_trend_ = 0;
  double threshold_ = 12.5;
  double adapted_at_ms_ = -1;
  double over_for_ms_ = -1;  // how long the trend has been above; -1: it is not
  std::uint32_t over_count_ = 0;
  PathUse use_ = PathUse::kNormal;
};

}  // namespace parley
