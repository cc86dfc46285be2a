// Writes packets and sender reports into the sinks of taps, each behind its own gate.
// Thread: the worker that owns the tracks.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "gathered.h"
#include "registry.h"
#include "tap.h"
#include "track.h"
#include "units.h"
#include "worker_context.h"

namespace parley {

class TapWriter {
 public:
  TapWriter(WorkerContext& context, Registry& registry) : context_(context), registry_(registry) {}

  // A batch of its track for a tap.
  void serve(Tap& tap, std::span<const Gathered> packets);
  // A publisher's report for the taps of its track.
  void report(Track& track, std::uint8_t encoding, const SenderInfo& report, TimeNs now);
  // Sends what was written. Afterwards no record is in any buffer of the worker.
  void flush();

 private:
  void append(Tap& tap, const TapRecord& record, Bytes body);
  void flush_sink(Sink& sink);

  WorkerContext& context_;
  Registry& registry_;
  std::vector<Sink*> dirty_sinks_;
  std::array<std::uint8_t, kMaxPacketSize> plain_{};  // what a tap gets of RED
};

}  // namespace parley
