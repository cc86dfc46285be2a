// Answers the checks of settled peers, and tells Python now and then who was heard: what keeps a room of hundreds
// connected then costs Python next to nothing. Whatever is more than a repetition on the selected path is Python's.
// Thread: the worker that owns it.
#pragma once

#include <vector>

#include "commands.h"
#include "registry.h"
#include "stun_probe.h"
#include "transport.h"
#include "units.h"
#include "worker_context.h"

namespace parley {

class CheckAnswerer {
 public:
  explicit CheckAnswerer(WorkerContext& context) : context_(context) {}

  Refusal lend(const LendCredentials& command, Registry& registry);
  // Answers a check, or drops a copy of one that was answered; false: Python takes it.
  bool take(Transport& transport, const PathId& path, Bytes check, const StunProbe& probe, TimeNs now);
  void tick(TimeNs now);
  [[nodiscard]] TimeNs deadline() const { return deadline_; }
  void forget(const Transport& transport) { std::erase(heard_, &transport); }

 private:
  // Short beside the ten seconds of silence after which a peer counts as disconnected.
  static constexpr TimeNs kTellInterval = 2 * kSecond;

  WorkerContext& context_;
  std::vector<Transport*> heard_;
  TimeNs deadline_ = kNever;
};

}  // namespace parley
