// The send-side bandwidth estimator of one viewer's transport: what may be sent to it, from the transport-wide feedback
// that it returns. Joins the delay-based rate, the loss-based limit and the probes.
// Pure: packets, feedback and time in, a rate and probe plans out.
// Thread: the worker that owns the transport. Source: draft-ietf-rmcat-gcc-02; docs/bandwidth.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "bwe/acked_rate.h"
#include "bwe/busy_rate.h"
#include "bwe/delay_floor.h"
#include "bwe/inter_arrival.h"
#include "bwe/limits.h"
#include "bwe/loss_control.h"
#include "bwe/probe_control.h"
#include "bwe/rate_control.h"
#include "bwe/rivalry.h"
#include "bwe/sent_history.h"
#include "bwe/trendline.h"
#include "transport_feedback.h"
#include "units.h"

namespace parley {

class BandwidthEstimator {
 public:
  // Without any feedback for so long while packets are in flight the rate is halved, again and again.
  static constexpr TimeNs kSilence = kSecond;
  static constexpr std::uint32_t kSilentPackets = 20;  // so many at least must have gone unanswered
  // A queue that stands so high above the shortest delay seen counts as overuse, whatever its trend.
  static constexpr TimeNs kStandingQueue = 200 * kMillisecond;

  // A route is taken for longer, and not for one with a queue, when it was so for this long to twice as long.
  static constexpr TimeNs kFloorWindow = 2500 * kMillisecond;
  // The same for what a train of packets queued behind: bursts come and go.
  static constexpr TimeNs kRecent = 500 * kMillisecond;

  explicit BandwidthEstimator(double start_bps = kStartBps) : control_(start_bps) {}

  // Packet `seq` of `bytes` on the wire leaves at `now`, as part of probe `cluster` or 0.
  void sent(std::uint16_t seq, std::uint32_t bytes, std::uint16_t cluster, TimeNs now);
  // False when it names nothing that was sent and not yet told of.
  bool feedback(const TransportFeedbackReader& reader, TimeNs now);
  // What the last feedback told of.
  [[nodiscard]] std::span<const PacketResult> results() const { return results_; }
  // Several times a second.
  void tick(TimeNs now);
  // The packets go another way from now on: what was learnt of the old one says nothing of it.
  void move();
  // Bits a second that the viewer's tracks could use in all.
  void set_wanted(double bps) { probes_.set_wanted(bps); }
  // The probe to send now, if one is due.
  [[nodiscard]] std::optional<ProbePlan> probe(TimeNs now);

  [[nodiscard]] double bps() const;
  [[nodiscard]] bool has_feedback() const { return last_feedback_ != 0; }
  [[nodiscard]] double loss() const { return loss_.loss(); }
  // From sending a packet to the feedback that names it, smoothed; 0 before the first.
  [[nodiscard]] TimeNs rtt() const { return rtt_; }
  [[nodiscard]] std::optional<double> acked_bps() const { return acked_.bps(); }
  [[nodiscard]] PathUse use() const { return trend_.use(); }
  [[nodiscard]] std::uint64_t bytes_in_flight() const { return history_.bytes_in_flight(); }
  [[nodiscard]] std::optional<double> capacity_bps() const { return control_.capacity_bps(); }

 private:
  // What a feedback says of the path.
  void judge(bool is_over, bool has_loss, TimeNs now);
  [[nodiscard]] bool is_plausible(double train_bps) const;

  SentHistory history_;
  InterArrival groups_;
  Trendline trend_;
  AckedRate acked_;
  RateControl control_;
  LossControl loss_;
  ProbeControl probes_;
  std::vector<PacketResult> results_;
  TimeNs rtt_ = 0;
  TimeNs last_feedback_ = 0;
  TimeNs silent_from_ = 0;
  std::uint32_t unanswered_ = 0;  // packets sent since the last feedback
  double sent_bps_ = 0;
  std::uint64_t sent_bytes_ = 0;
  TimeNs sent_window_ = 0;
  DelayFloor floor_{kFloorWindow};
  DelayFloor recent_floor_{kRecent};
  BusyRate busy_;
  double train_bps_ = 0;  // what the last train showed, which came at
  TimeNs train_at_ = 0;   // 0: none came
  Rivalry rivalry_;
};

}  // namespace parley
