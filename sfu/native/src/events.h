// What a worker tells the control side: plain structs in two bounded rings (network datagrams have their own).
// Thread: made by the worker, read by the control thread that polls.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "counters.h"
#include "path_id.h"

namespace parley {

// A STUN or DTLS datagram for Python's state machines.
struct NetworkEvent {
  static constexpr std::size_t kMaxBytes = 2048;

  bool is_stun = false;
  std::uint32_t transport = 0;
  PathId path;
  std::uint16_t size = 0;
  std::array<std::uint8_t, kMaxBytes> data{};
};

struct AckEvent {
  std::uint64_t ack = 0;
  std::string error;
};
struct ProvenEvent {
  std::uint32_t transport = 0;
};
struct IdleEvent {
  std::uint32_t transport = 0;
  bool is_idle = false;  // false: active again
};
struct EncodingEvent {
  std::uint32_t track = 0;
  std::uint32_t encoding = 0;
  std::uint32_t ssrc = 0;
  std::string rid;
  std::string_view codec;  // a static name
};
struct KeyframeEvent {
  std::uint32_t track = 0;
  std::uint32_t encoding = 0;
};
struct LevelsEvent {
  struct Level {
    std::uint32_t track = 0;
    std::uint8_t dbov = 127;
    bool voice = false;
  };
  std::vector<Level> levels;
};
struct CodecUnsupportedEvent {
  std::uint32_t forward = 0;
  std::string_view codec;
};
struct SinkClosedEvent {
  std::uint32_t sink = 0;
  std::string reason;
};

// One object's figures by name; ids and counts fit, and so do the few that are negative.
using StatsMap = std::vector<std::pair<std::string_view, std::int64_t>>;
struct StatsEvent {
  std::uint64_t ack = 0;
  StatsMap worker;
  std::vector<StatsMap> transports;
  std::vector<StatsMap> tracks;
  std::vector<StatsMap> forwards;
  std::vector<StatsMap> taps;
};
// What the layers of a track take at present, about once a second.
struct LayersEvent {
  struct Layer {
    std::uint8_t encoding = 0;  // index, low to high
    std::uint8_t spatial = 0;   // inside the encoding
    std::uint8_t temporal = 0;
    std::uint32_t bps = 0;     // of everything in the encoding up to this layer
    std::uint16_t height = 0;  // of the encoding's whole picture, 0: not known
  };
  std::uint32_t track = 0;
  std::vector<Layer> layers;
};
// A TCP connection that carried a bound path is gone, and the path with it.
struct PathClosedEvent {
  std::uint32_t transport = 0;
  PathId path;
};
// Whose checks the worker answered since the last such event, about two seconds ago.
struct HeardEvent {
  struct Heard {
    std::uint32_t transport = 0;
    std::uint32_t age_ms = 0;  // of the last check
  };
  std::vector<Heard> heard;
};
struct BandwidthEvent {
  std::uint32_t transport = 0;
  std::uint64_t bps = 0;
};

using ControlEvent = std::variant<std::monostate, AckEvent, ProvenEvent, IdleEvent, EncodingEvent, KeyframeEvent,
                                  LevelsEvent, CodecUnsupportedEvent, SinkClosedEvent, StatsEvent, PathClosedEvent,
                                  BandwidthEvent, LayersEvent, HeardEvent>;

}  // namespace parley
