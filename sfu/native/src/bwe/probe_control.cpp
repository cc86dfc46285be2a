#include "bwe/probe_control.h"

#include <algorithm>

namespace parley {

namespace {

constexpr double kStep = 2.0;  // each probe doubles what is known
constexpr double kGrown = 1.25;
constexpr double kWantedMargin = 1.4;  // the allocator needs headroom to take a layer, and layers vary
constexpr double kRecovery = 0.85;     // of the rate before a drop
constexpr double kLargeDrop = 0.66;
constexpr TimeNs kRecoveryWait = 500 * kMillisecond;
constexpr double kBackoff = 1.5;
constexpr double kMinReceived = 0.8;      // of a cluster's bytes
constexpr double kMaxRatio = 2.0;         // faster at the receiver than at the sender: compressed on the way
constexpr double kSaturated = 0.9;        // slower by that much: the path's own rate is what was seen,
constexpr double kSaturatedShare = 0.95;  // and some of it must stay free
constexpr double kWorthIt = 1.05;

}  // namespace

void ProbeControl::set_wanted(double bps) {
  if (bps > wanted_ * kWorthIt) {
    next_at_ = 0;
    interval_ = kBaseInterval;
  }
  wanted_ = bps;
}

void ProbeControl::restart() {
  cluster_ = {};
  next_at_ = 0;
  interval_ = kBaseInterval;
  recovered_for_ = 0;
}

std::optional<ProbePlan> ProbeControl::next(const Known& known, TimeNs now) {
  if (cluster_.id != 0) {
    if (now - cluster_.planned < kAnswerTime) {
      return std::nullopt;
    }
    finish(false, now);
  }
  const double useful = wanted_ * kWantedMargin;
  if (!known.has_room || useful < known.estimate_bps * kWorthIt) {
    return std::nullopt;
  }
  const bool is_large_drop = known.dropped_at != 0 && known.estimate_bps < known.dropped_from_bps * kLargeDrop;
  if (is_large_drop && known.dropped_at != recovered_for_ && now - known.dropped_at >= kRecoveryWait) {
    recovered_for_ = known.dropped_at;
    return plan(std::min(useful, known.dropped_from_bps * kRecovery), now);
  }
  if (now < next_at_) {
    return std::nullopt;
  }
  double bps = known.estimate_bps * kStep;
  if (known.capacity_bps) {
    // Far above what the path carried last, a probe would but fill its queue; a little above tells whether it has
    // grown.
    bps = std::min(bps, kGrown * std::max(*known.capacity_bps, known.estimate_bps));
  }
  return plan(std::min(useful, bps), now);
}

ProbePlan ProbeControl::plan(double bps, TimeNs now) {
  last_id_ = static_cast<std::uint16_t>(last_id_ == 0xFFFF ? 1 : last_id_ + 1);
  const double seconds = static_cast<double>(kDuration) / static_cast<double>(kSecond);
  constexpr std::uint32_t kPacketBytes = 1000;
  const auto bytes = std::max(static_cast<std::uint32_t>(bps * seconds / 8), kMinPackets * kPacketBytes);
  cluster_ = Cluster{};
  cluster_.id = last_id_;
  cluster_.bps = bps;
  cluster_.planned = now;
  cluster_.expected_bytes = bytes;
  return ProbePlan{.cluster = last_id_, .bps = bps, .bytes = bytes};
}

std::optional<double> ProbeControl::receive(const PacketResult& result, TimeNs now) {
  if (!result.received || result.cluster == 0 || result.cluster != cluster_.id) {
    return std::nullopt;
  }
  if (cluster_.received == 0 || result.sent < cluster_.first_sent) {
    cluster_.first_sent = result.sent;
  }
  if (cluster_.received == 0 || result.arrived < cluster_.first_arrived) {
    cluster_.first_arrived = result.arrived;
    cluster_.first_bytes = result.bytes;
  }
  if (cluster_.received == 0 || result.sent >= cluster_.last_sent) {
    cluster_.last_sent = result.sent;
    cluster_.last_bytes = result.bytes;
  }
  cluster_.last_arrived = cluster_.received == 0 ? result.arrived : std::max(cluster_.last_arrived, result.arrived);
  ++cluster_.received;
  cluster_.bytes += result.bytes;
  if (cluster_.received < kMinPackets || cluster_.bytes < kMinReceived * cluster_.expected_bytes) {
    return std::nullopt;
  }
  const TimeNs send_time = cluster_.last_sent - cluster_.first_sent;
  const TimeNs receive_time = cluster_.last_arrived - cluster_.first_arrived;
  if (send_time <= 0 || receive_time <= 0 || send_time > kAnswerTime || receive_time > kAnswerTime) {
    finish(false, now);
    return std::nullopt;
  }
  const double scale = 8 * static_cast<double>(kSecond);
  const double sent_bps = (cluster_.bytes - cluster_.last_bytes) * scale / static_cast<double>(send_time);
  const double received_bps = (cluster_.bytes - cluster_.first_bytes) * scale / static_cast<double>(receive_time);
  if (received_bps > kMaxRatio * sent_bps) {
    finish(false, now);
    return std::nullopt;
  }
  const bool is_saturated = received_bps < kSaturated * sent_bps;
  const double shown = is_saturated ? kSaturatedShare * received_bps : std::min(sent_bps, received_bps);
  finish(!is_saturated, now);
  return shown;
}

void ProbeControl::finish(bool is_success, TimeNs now) {
  cluster_.id = 0;
  if (is_success) {
    interval_ = kBaseInterval;
    next_at_ = now;  // more may be there
    return;
  }
  next_at_ = now + interval_;
  interval_ = std::min(kMaxInterval, static_cast<TimeNs>(static_cast<double>(interval_) * kBackoff));
}

}  // namespace parley
