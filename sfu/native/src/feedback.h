// RTCP that goes out by the clock: NACK, transport-wide feedback, receiver and sender reports; idleness and levels.
// Each call does a bounded slice of the work.
// Thread: the worker that owns it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "departures.h"
#include "keyframe_requests.h"
#include "registry.h"
#include "units.h"
#include "worker_context.h"

namespace parley {

class Feedback {
 public:
  static constexpr TimeNs kTick = 10 * kMillisecond;
  static constexpr TimeNs kSlack = 15 * kMillisecond;
  static constexpr TimeNs kRound = 100 * kMillisecond;
  static constexpr TimeNs kReportInterval = 1 * kSecond;
  static constexpr TimeNs kLevelsInterval = 200 * kMillisecond;
  static constexpr TimeNs kLayersInterval = 1 * kSecond;

  Feedback(WorkerContext& context, Registry& registry, KeyframeRequests& keyframes, Departures& departures)
      : context_(context), registry_(registry), keyframes_(keyframes), departures_(departures) {}

  // A packet with a transport-wide sequence number arrived.
  void note_arrival(Transport& transport, std::uint16_t twcc_seq, std::uint32_t ssrc, TimeNs now);
  // The encoding misses packets: its NACK timer runs.
  void watch(Encoding& encoding);

  // When tick has to be called; kNever for a worker without transports. While no packet is missed it can wait a while
  // for the packets that wake the worker anyway.
  [[nodiscard]] TimeNs deadline() const {
    const TimeNs due = nacking_.empty() ? std::min(next_tick_ + kSlack, keyframes_.deadline()) : next_tick_;
    return registry_.transport_list().empty() ? kNever : std::max(due, next_tick_);
  }
  void tick(TimeNs now);

  void forget(const Transport& transport);
  void forget(const Track& track);

 private:
  static constexpr std::size_t kMaxNacks = 64;  // sequence numbers in one message

  void send_nacks(TimeNs now);
  void send_transport_feedback(TimeNs now);
  void visit_slice(TimeNs elapsed, TimeNs now);
  void visit(Transport& transport, TimeNs now);
  void send_receiver_reports(Transport& transport, TimeNs now);
  void send_sender_reports(Transport& transport, TimeNs now);
  bool append_report(Writer& writer, Forward& forward, TimeNs now);
  void post_levels(TimeNs now);
  void tell_layers(Track& track, TimeNs now);

  WorkerContext& context_;
  Registry& registry_;
  KeyframeRequests& keyframes_;
  Departures& departures_;
  std::vector<Encoding*> nacking_;
  std::vector<Transport*> reporting_;  // transport-wide feedback waits
  TimeNs next_tick_ = 0;
  TimeNs last_tick_ = 0;
  TimeNs next_levels_ = 0;
  std::size_t next_slice_ = 0;
};

}  // namespace parley
