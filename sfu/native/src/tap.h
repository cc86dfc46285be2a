// One track's decrypted, repaired packets on their way to a consumer process, behind a consent gate.
// Thread: the worker that owns the track.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "gate_page.h"
#include "tap_sink.h"

namespace parley {

struct Track;
struct Sink;
struct Transport;

struct Tap {
  std::uint32_t id = 0;
  Track* track = nullptr;
  Sink* sink = nullptr;
  GatePosition gate;
  std::uint64_t unreported_lost = 0;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t lost = 0;
  std::uint64_t dropped_by_gate = 0;
};

struct Sink {
  Sink(std::uint32_t sink_id, UniqueFd fd) : id(sink_id), socket(std::move(fd)) {}

  std::uint32_t id;
  TapSink socket;
  bool is_dirty = false;          // holds records of the batch at hand
  Transport* injected = nullptr;  // what the consumer writes is this transport's
  bool is_reported = false;       // its end was told
};

}  // namespace parley
