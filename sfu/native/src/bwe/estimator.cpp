#include "bwe/estimator.h"

#include <algorithm>

namespace parley {

namespace {

constexpr TimeNs kSentWindow = 200 * kMillisecond;
constexpr double kSentWeight = 0.5;
constexpr double kAlike = 0.85;          // of the capacity last met
constexpr TimeNs kTrainHolds = kSecond;  // a path that falls makes a queue, and another train, sooner than that
constexpr TimeNs kSurelyQueued = 50 * kMillisecond;
constexpr TimeNs kOthersQueue = 200 * kMillisecond;
constexpr TimeNs kLongQueue = 80 * kMillisecond;

}  // namespace

void BandwidthEstimator::sent(std::uint16_t seq, std::uint32_t bytes, std::uint16_t cluster, TimeNs now) {
  if (history_.bytes_in_flight() == 0) {
    silent_from_ = now;
  }
  history_.sent(seq, bytes, cluster, now);
  rivalry_.sent(bytes);
  ++unanswered_;
  sent_bytes_ += bytes;
  if (now - sent_window_ >= kSentWindow) {
    const double seconds = static_cast<double>(now - sent_window_) / static_cast<double>(kSecond);
    sent_bps_ += kSentWeight * (static_cast<double>(sent_bytes_) * 8 / seconds - sent_bps_);
    sent_bytes_ = 0;
    sent_window_ = now;
  }
}

bool BandwidthEstimator::feedback(const TransportFeedbackReader& reader, TimeNs now) {
  results_.clear();
  history_.feedback(reader, results_);
  if (results_.empty()) {
    return false;
  }
  last_feedback_ = silent_from_ = now;
  unanswered_ = 0;
  std::uint32_t received = 0;
  std::uint32_t lost = 0;
  TimeNs newest_sent = 0;
  std::optional<double> shown;
  bool has_delta = false;
  bool was_over = false;
  for (const PacketResult& result : results_) {
    if (!result.received) {
      ++lost;
      continue;
    }
    ++received;
    newest_sent = std::max(newest_sent, result.sent);
    acked_.receive(result.bytes, result.arrived);
    const TimeNs delay = result.arrived - result.sent;
    rivalry_.receive(floor_.receive(delay, now));
    busy_.receive(result.bytes, result.arrived, recent_floor_.receive(delay, now));
    if (const auto rate = busy_.bps()) {
      train_bps_ = *rate;
      train_at_ = now;
    }
    if (const auto delta = groups_.receive(result.sent, result.arrived)) {
      trend_.receive(*delta);
      has_delta = true;
      was_over = was_over || trend_.use() == PathUse::kOver;
    }
    if (const auto rate = probes_.receive(result, now)) {
      shown = rate;
    }
  }
  if (newest_sent != 0) {
    const TimeNs sample = std::max<TimeNs>(now - newest_sent, kMicrosecond);
    rtt_ = rtt_ == 0 ? sample : (7 * rtt_ + sample) / 8;
  }
  if (has_delta) {
    judge(was_over || floor_.above() > kStandingQueue, lost != 0, now);
  }
  if (shown && trend_.use() != PathUse::kOver) {
    control_.raise_to(*shown, now);
    loss_.raise_to(*shown);
  }
  loss_.receive(received, lost, control_.bps(), rtt_, now);
  return true;
}

void BandwidthEstimator::judge(bool is_over, bool has_loss, TimeNs now) {
  const bool has_train = train_at_ != 0 && now - train_at_ <= kTrainHolds;
  const std::optional<double> filled = has_train ? std::optional(train_bps_) : std::nullopt;
  if (rivalry_.is_on() && floor_.above() > rivalry_.above() + kOthersQueue) {
    rivalry_.end();  // it grows with what is sent here, so it may be our own after all
  }
  if (rivalry_.is_on() && has_loss) {
    rivalry_.end();
    control_.overuse(acked_.bps(), RateControl::Proof::kLoss, true, sent_bps_, rtt_, now);
  } else if (!is_over || rivalry_.is_on()) {
    control_.update(is_over ? PathUse::kNormal : trend_.use(), acked_.bps(), rtt_, now);
  } else {
    const auto proof = filled && is_plausible(*filled) ? RateControl::Proof::kTrain : RateControl::Proof::kTrend;
    const bool is_long = floor_.above() > kLongQueue;
    const bool has_cut = control_.overuse(filled ? filled : acked_.filled_bps(), proof, is_long, sent_bps_, rtt_, now);
    if (has_cut && filled) {
      rivalry_.cut(*filled, floor_.above(), now);
    }
  }
}

// A receiver that was busy itself makes a short train look slow. A path that really carries so much less than it did
// has a long queue at once.
bool BandwidthEstimator::is_plausible(double train_bps) const {
  return train_bps >= kAlike * control_.capacity_bps().value_or(0) || floor_.above() >= kSurelyQueued;
}

void BandwidthEstimator::tick(TimeNs now) {
  // A path that carries nothing back is taken for one that carries nothing.
  const bool is_silent = last_feedback_ != 0 && unanswered_ >= kSilentPackets && now - silent_from_ >= kSilence;
  if (is_silent) {
    control_.halve(now);
    silent_from_ = now;
  }
}

void BandwidthEstimator::move() {
  history_.forget();
  probes_.restart();
  groups_ = {};
  trend_ = {};
  acked_ = {};
  control_ = RateControl(kStartBps);
  loss_ = {};
  floor_ = DelayFloor(kFloorWindow);
  recent_floor_ = DelayFloor(kRecent);
  busy_ = {};
  train_at_ = 0;
  rivalry_ = {};
  rtt_ = 0;
  unanswered_ = 0;
}

std::optional<ProbePlan> BandwidthEstimator::probe(TimeNs now) {
  const bool has_room = trend_.use() == PathUse::kNormal && loss_.loss() <= LossControl::kCongested &&
                        now - control_.decreased_at() >= kSecond / 2;
  return probes_.next({.estimate_bps = bps(),
                       .capacity_bps = control_.capacity_bps(),
                       .dropped_from_bps = control_.dropped_from_bps(),
                       .dropped_at = control_.dropped_at(),
                       .has_room = has_room},
                      now);
}

double BandwidthEstimator::bps() const {
  return std::clamp(std::min(control_.bps(), loss_.limit_bps()), kMinBps, kMaxBps);
}

}  // namespace parley
