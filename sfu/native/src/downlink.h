// What the core knows of one viewer's path, for transports that return transport-wide feedback.
// Thread: the worker that owns the transport.
#pragma once

#include "bwe/estimator.h"
#include "bwe/pacer.h"
#include "repair_watch.h"
#include "units.h"

namespace parley {

struct Downlink {
  BandwidthEstimator estimator;
  Pacer pacer;
  RepairWatch repairs;
  ProbePlan probe;  // cluster 0: none is being sent
  std::uint32_t probe_sent_bytes = 0;
  TimeNs probe_started = 0;
  TimeNs told_at = 0;  // the last bandwidth event
  double told_bps = 0;
  TimeNs paced_until = 0;  // video goes through the pacer, whatever is known of the path
  bool is_listed = false;  // has packets that wait, or a probe to send

  // Nothing overtakes what waits.
  [[nodiscard]] bool is_paced(TimeNs now) const {
    return estimator.has_feedback() || now < paced_until || !pacer.is_empty();
  }
  [[nodiscard]] bool has_work() const { return !pacer.is_empty() || probe.cluster != 0; }
};

}  // namespace parley
