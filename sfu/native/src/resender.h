// Answers NACKs of subscribers by RTX from the store, within each forward's budget, gated like the packet itself.
// Thread: the worker that owns the subscriber's transport.
#pragma once

#include <cstdint>

#include "departures.h"
#include "forward.h"
#include "rtp_write.h"
#include "units.h"
#include "worker_context.h"

namespace parley {

class Registry;

class Resender {
 public:
  Resender(WorkerContext& context, Registry& registry, Departures& departures)
      : context_(context), registry_(registry), departures_(departures) {}

  // One NACKed packet.
  void resend(Forward& forward, std::uint16_t seq, TimeNs now);
  // Repeats the repairs that the last feedback of a viewer says are lost, while they may still be of use.
  void repeat_lost(Transport& transport, TimeNs now);

 private:
  // Nobody's picture waits longer for a repair.
  static constexpr TimeNs kUseful = 400 * kMillisecond;

  // Whether it may be sent at all, apart from its budget.
  bool may_resend(const Forward& forward);
  void send(Forward& forward, const SentPacket& sent, TimeNs now);

  WorkerContext& context_;
  Registry& registry_;
  Departures& departures_;
  ExtensionPlanner planner_;
};

}  // namespace parley
