#include "bwe/loss_control.h"

#include <algorithm>

#include "bwe/limits.h"

namespace parley {

namespace {

constexpr double kCalm = 0.02;
constexpr double kCalmGrowth = 1.08;  // per window
constexpr double kTolerableGrowth = 1.02;
constexpr TimeNs kCutInterval = 300 * kMillisecond;

}  // namespace

void LossControl::receive(std::uint32_t received, std::uint32_t lost, double rate_bps, TimeNs rtt, TimeNs now) {
  if (received_ + lost_ == 0) {
    window_start_ = now;
  }
  received_ += received;
  lost_ += lost;
  const std::uint32_t packets = received_ + lost_;
  if (now - window_start_ < kWindow || packets < kMinPackets) {
    return;
  }
  loss_ = static_cast<double>(lost_) / packets;
  received_ = lost_ = 0;
  if (loss_ > kCongested) {
    if (cut_at_ == 0 || now - cut_at_ >= kCutInterval + rtt) {
      limit_ = std::max(kMinBps, std::min(limit_, rate_bps) * (1 - 0.5 * loss_));
      cut_at_ = now;
    }
    return;
  }
  limit_ *= loss_ < kCalm ? kCalmGrowth : kTolerableGrowth;
  if (limit_ > rate_bps * kCalmGrowth) {
    limit_ = std::numeric_limits<double>::infinity();
  }
}

}  // namespace parley
