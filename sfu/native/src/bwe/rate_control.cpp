#include "bwe/rate_control.h"

#include <algorithm>
#include <cmath>

#include "bwe/limits.h"

namespace parley {

namespace {

constexpr double kBeta = 0.95;      // of what the path delivers
constexpr double kLongBeta = 0.85;  // the same when the queue is long, or far more was sent
constexpr double kDrop = 1.3;
constexpr double kDoubted = 0.93;  // of the rate, when nothing but a trend tells of a queue
constexpr double kKept = 1.1;      // times what is sent: it goes on as it is
constexpr double kFilled = 0.7;    // of the rate: so much at least is sent when the path is used
constexpr double kGrowthPerSecond = 1.08;
constexpr double kMaxOverAcked = 1.5;  // what nobody sends proves nothing about the path
constexpr double kSlackBps = 10'000;
constexpr double kPacketBits = 1200 * 8;
constexpr TimeNs kUnknownRtt = 200 * kMillisecond;
constexpr TimeNs kReaction = 100 * kMillisecond;  // the detector's own delay
constexpr TimeNs kOneDrop = 3 * kSecond;          // cuts no further apart than this are one drop
constexpr double kCapacityWeight = 0.05;
constexpr double kDeviations = 3;

}  // namespace

bool RateControl::overuse(std::optional<double> acked_bps, Proof proof, bool is_long, double sent_bps, TimeNs rtt,
                          TimeNs now) {
  // One cut per reaction time: the queue and the detector need it to show the last one's effect. One that left what is
  // sent as it was has none.
  const TimeNs way = std::clamp<TimeNs>(rtt == 0 ? kUnknownRtt : rtt, 10 * kMillisecond, kUnknownRtt);
  const TimeNs wait = kReaction + (has_spared_ ? 0 : way);
  const bool is_due = decreased_at_ == 0 || now - decreased_at_ >= wait;
  if (is_due) {
    decrease(acked_bps.value_or(rate_), proof, is_long, sent_bps, now);
  }
  state_ = State::kHold;
  return is_due;
}

void RateControl::update(PathUse use, std::optional<double> acked_bps, TimeNs rtt, TimeNs now) {
  if (use != PathUse::kNormal) {
    state_ = State::kHold;  // the queue drains
    changed_at_ = now;
  } else if (state_ == State::kHold) {
    state_ = State::kIncrease;
    changed_at_ = now;
  } else {
    increase(acked_bps, rtt, now);
  }
}

double RateControl::deviation() const { return std::sqrt(variance_ * capacity_ / 1000) * 1000; }

void RateControl::increase(std::optional<double> acked_bps, TimeNs rtt, TimeNs now) {
  const double elapsed = std::clamp(to_seconds(now - changed_at_), 0.0, 1.0);
  changed_at_ = now;
  if (acked_bps && capacity_ > 0 && *acked_bps > capacity_ + kDeviations * deviation()) {
    capacity_ = 0;  // the path has grown
  }
  double next = rate_;
  if (capacity_ > 0) {
    const double response = to_seconds((rtt == 0 ? kUnknownRtt : rtt) + kReaction);
    next += std::max(4000.0, kPacketBits / response) * elapsed;
  } else {
    next *= std::pow(kGrowthPerSecond, elapsed);
  }
  const double cap = acked_bps ? kMaxOverAcked * *acked_bps + kSlackBps : rate_;
  rate_ = std::clamp(std::max(rate_, std::min(next, cap)), kMinBps, kMaxBps);
}

void RateControl::note_decrease(TimeNs now) {
  const bool is_same_drop = decreased_at_ != 0 && now - decreased_at_ < kOneDrop;
  if (!is_same_drop) {
    dropped_at_ = now;
    dropped_from_ = rate_;
  }
  decreased_at_ = now;
  changed_at_ = now;
}

void RateControl::halve(TimeNs now) {
  note_decrease(now);
  rate_ = std::max(kMinBps, rate_ / 2);
  capacity_ = 0;
  has_spared_ = false;
  state_ = State::kHold;
}

void RateControl::decrease(double acked_bps, Proof proof, bool is_long, double sent_bps, TimeNs now) {
  note_decrease(now);
  // Where less is sent than may be, a queue first costs what was not proved: what is sent now may go on. If it is real,
  // the next cut follows soon and costs more. A long queue of packets that were seen to wait is real.
  const double kept = (proof == Proof::kTrain && is_long) || sent_bps >= kFilled * rate_ ? 0 : kKept * sent_bps;
  const double beta = is_long || rate_ > kDrop * acked_bps ? kLongBeta : kBeta;
  double next = std::max(beta * acked_bps, kept);
  has_spared_ = kept > beta * acked_bps;
  if (proof == Proof::kTrend) {
    // No packets queued for long enough to tell what the path delivers: a queue that is real shows itself soon.
    next = std::max(next, kDoubted * rate_);
  }
  // A path that delivers more than the rate drains its queue by itself.
  rate_ = std::clamp(std::min(rate_, next), kMinBps, kMaxBps);
  if (proof != Proof::kTrend) {
    learn_capacity(acked_bps);
  }
}

void RateControl::learn_capacity(double acked_bps) {
  if (capacity_ > 0 && std::abs(acked_bps - capacity_) > kDeviations * deviation()) {
    capacity_ = 0;  // another path, or another competitor: begin anew
  }
  if (capacity_ == 0) {
    capacity_ = acked_bps;
    variance_ = 0.4;
    return;
  }
  const double error = (acked_bps - capacity_) / 1000;
  capacity_ += kCapacityWeight * (acked_bps - capacity_);
  variance_ = std::clamp(
      (1 - kCapacityWeight) * variance_ + kCapacityWeight * error * error / std::max(capacity_ / 1000, 1.0), 0.4, 2.5);
}

void RateControl::raise_to(double bps, TimeNs now) {
  if (bps > rate_) {
    rate_ = std::clamp(bps, kMinBps, kMaxBps);
    changed_at_ = now;
  }
  if (capacity_ > 0 && bps > capacity_ + kDeviations * deviation()) {
    capacity_ = 0;
  }
}

}  // namespace parley
