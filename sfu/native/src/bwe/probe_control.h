// When to probe, how fast, and what a probe has shown. A probe sends a cluster of packets (padding on the RTX
// source) at a rate above the estimate for some tens of milliseconds: enough to see whether the path carries more, too
// little to fill a queue that anyone notices.
// Thread: the worker that owns the transport. Source: draft-ietf-rmcat-gcc-02 (estimate by clusters); the
// intervals are own.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "bwe/packet_result.h"
#include "units.h"

namespace parley {

struct ProbePlan {
  std::uint16_t cluster = 0;  // never 0
  double bps = 0;
  std::uint32_t bytes = 0;  // to send in all
};

class ProbeControl {
 public:
  static constexpr TimeNs kDuration = 20 * kMillisecond;
  static constexpr std::uint32_t kMinPackets = 5;
  static constexpr TimeNs kBaseInterval = 2 * kSecond;
  static constexpr TimeNs kMaxInterval = 5 * kSecond;
  static constexpr TimeNs kAnswerTime = kSecond;  // a cluster without an answer by then has failed

  // What the viewer's tracks could use in all, bits a second: nothing above is probed for.
  void set_wanted(double bps);

  // The path is another one: what clusters showed, and how far apart they are by now, says nothing of it.
  void restart();

  struct Known {
    double estimate_bps = 0;
    std::optional<double> capacity_bps;  // where the path last overflowed
    double dropped_from_bps = 0;         // the rate before the last drop, which was at
    TimeNs dropped_at = 0;               // 0: none
    bool has_room = false;               // the detector sees no queue
  };

  // The next cluster when one is due, at most one in flight.
  std::optional<ProbePlan> next(const Known& known, TimeNs now);

  // The fate of a packet that belonged to a cluster. The rate that the cluster has shown, once it is known.
  std::optional<double> receive(const PacketResult& result, TimeNs now);

 private:
  struct Cluster {
    std::uint16_t id = 0;
    double bps = 0;
    TimeNs planned = 0;
    std::uint32_t expected_bytes = 0;
    std::uint32_t received = 0;
    std::uint32_t bytes = 0;
    TimeNs first_sent = 0;
    TimeNs last_sent = 0;
    TimeNs first_arrived = 0;
    TimeNs last_arrived = 0;
    std::uint32_t first_bytes = 0;
    std::uint32_t last_bytes = 0;
  };

  ProbePlan plan(double bps, TimeNs now);
  void finish(bool is_success, TimeNs now);

  double wanted_ = 0;
  Cluster cluster_;
  std::uint16_t last_id_ = 0;
  TimeNs next_at_ = 0;
  TimeNs interval_ = kBaseInterval;
  TimeNs recovered_for_ = 0;  // the decrease whose recovery was probed
};

}  // namespace parley
