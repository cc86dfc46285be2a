// The delay-based rate: additive increase near the capacity last met, multiplicative elsewhere, a decrease to a share
// of what arrives when the queue grows. Thread: the worker that owns the transport. Source: draft-ietf-rmcat-gcc-02
// section 5.5.
#pragma once

#include <cstdint>
#include <optional>

#include "bwe/trendline.h"
#include "units.h"

namespace parley {

class RateControl {
 public:
  explicit RateControl(double start_bps) : rate_(start_bps) {}

  // The detector's verdict at `now`, when it is not overuse. `acked_bps`: what arrives at present. `rtt` 0: unknown.
  void update(PathUse use, std::optional<double> acked_bps, TimeNs rtt, TimeNs now);
  // What shows the queue.
  enum class Proof : std::uint8_t {
    kTrend,  // delays that grow; `acked_bps` is only what happened to be sent
    kLoss,   // a packet was lost behind a queue that others share
    kTrain,  // packets that were seen to wait; `acked_bps` was measured on them
  };
  // The queue grows. `acked_bps`: what the path delivers. `is_long`: the queue is not a burst's. `sent_bps`: what was
  // sent of late.
  // False when the last cut is so young that it has yet to show its effect, and nothing changed.
  bool overuse(std::optional<double> acked_bps, Proof proof, bool is_long, double sent_bps, TimeNs rtt, TimeNs now);
  // The path carries nothing back.
  void halve(TimeNs now);
  // A probe has shown that at least so much gets through.
  void raise_to(double bps, TimeNs now);

  [[nodiscard]] double bps() const { return rate_; }
  // Where the path last overflowed, bits a second; nothing when unknown or outgrown.
  [[nodiscard]] std::optional<double> capacity_bps() const {
    return capacity_ > 0 ? std::optional(capacity_) : std::nullopt;
  }
  // When the rate was last cut; 0 never.
  [[nodiscard]] TimeNs decreased_at() const { return decreased_at_; }
  // When the drop that it belonged to began, and the rate before.
  [[nodiscard]] TimeNs dropped_at() const { return dropped_at_; }
  [[nodiscard]] double dropped_from_bps() const { return dropped_from_; }

 private:
  enum class State : std::uint8_t { kHold, kIncrease };

  void increase(std::optional<double> acked_bps, TimeNs rtt, TimeNs now);
  void decrease(double acked_bps, Proof proof, bool is_long, double sent_bps, TimeNs now);
  void note_decrease(TimeNs now);
  void learn_capacity(double acked_bps);
  [[nodiscard]] double deviation() const;

  double rate_;
  State state_ = State::kHold;
  TimeNs changed_at_ = 0;
  TimeNs decreased_at_ = 0;
  TimeNs dropped_at_ = 0;
  double dropped_from_ = 0;
  bool has_spared_ = false;  // the last cut left room for all that is sent
  double capacity_ = 0;      // mean of the acknowledged rate at overuse, 0 unknown
  double variance_ = 0.4;    // relative to the mean, in kbps
};

}  // namespace parley
