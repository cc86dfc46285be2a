#include "event_tuples.h"

#include <nanobind/stl/string.h>

#include <string_view>
#include <variant>
#include <vector>

namespace nb = nanobind;

namespace parley {

namespace {

nb::bytes bytes_from(const NetworkEvent& event) { return nb::bytes(event.data.data(), event.size); }

nb::dict dict_from(const StatsMap& map) {
  nb::dict dict;
  for (const auto& [name, value] : map) {
    dict[nb::str(name.data(), name.size())] = value;
  }
  return dict;
}

nb::list list_from(const std::vector<StatsMap>& maps) {
  nb::list list;
  for (const StatsMap& map : maps) {
    list.append(dict_from(map));
  }
  return list;
}

nb::str text(std::string_view value) { return nb::str(value.data(), value.size()); }

struct ToTuple {
  std::size_t worker;

  nb::object operator()(std::monostate) const { return nb::none(); }
  nb::object operator()(const AckEvent& event) const { return nb::make_tuple("ack", event.ack, text(event.error)); }
  nb::object operator()(const ProvenEvent& event) const { return nb::make_tuple("proven", event.transport); }
  nb::object operator()(const IdleEvent& event) const {
    return nb::make_tuple(event.is_idle ? "idle" : "active", event.transport);
  }
  nb::object operator()(const EncodingEvent& event) const {
    return nb::make_tuple("encoding", event.track, event.encoding, event.ssrc, text(event.rid), text(event.codec));
  }
  nb::object operator()(const KeyframeEvent& event) const {
    return nb::make_tuple("keyframe", event.track, event.encoding);
  }
  nb::object operator()(const LevelsEvent& event) const {
    nb::list levels;
    for (const auto& level : event.levels) {
      levels.append(nb::make_tuple(level.track, static_cast<int>(level.dbov), level.voice));
    }
    return nb::make_tuple("levels", worker, levels);
  }
  nb::object operator()(const CodecUnsupportedEvent& event) const {
    return nb::make_tuple("codec_unsupported", event.forward, text(event.codec));
  }
  nb::object operator()(const SinkClosedEvent& event) const {
    return nb::make_tuple("sink_closed", event.sink, text(event.reason));
  }
  nb::object operator()(const StatsEvent& event) const {
    return nb::make_tuple("stats", event.ack, dict_from(event.worker), list_from(event.transports),
                          list_from(event.tracks), list_from(event.forwards), list_from(event.taps));
  }
  nb::object operator()(const LayersEvent& event) const {
    nb::list layers;
    for (const auto& layer : event.layers) {
      layers.append(nb::make_tuple(static_cast<int>(layer.encoding), static_cast<int>(layer.spatial),
                                   static_cast<int>(layer.temporal), layer.bps, static_cast<int>(layer.height)));
    }
    return nb::make_tuple("layers", event.track, layers);
  }
  nb::object operator()(const HeardEvent& event) const {
    nb::list heard;
    for (const auto& [transport, age_ms] : event.heard) {
      heard.append(nb::make_tuple(transport, age_ms));
    }
    return nb::make_tuple("heard", heard);
  }
  nb::object operator()(const PathClosedEvent& event) const {
    return nb::make_tuple("path_closed", event.transport, event.path.socket, event.path.remote.ip_text(),
                          event.path.remote.port, text(path_kind_name(event.path.kind)));
  }
  nb::object operator()(const BandwidthEvent& event) const {
    return nb::make_tuple("bandwidth", event.transport, event.bps);
  }
};

}  // namespace

nb::object to_tuple(std::size_t worker, const ControlEvent& event) { return std::visit(ToTuple{worker}, event); }

nb::object to_tuple(std::size_t worker, const NetworkEvent& event) {
  const Endpoint& remote = event.path.remote;
  const nb::str kind = text(path_kind_name(event.path.kind));
  if (event.is_stun) {
    return nb::make_tuple("stun", worker, event.path.socket, remote.ip_text(), remote.port, event.transport,
                          bytes_from(event), kind);
  }
  return nb::make_tuple("dtls", event.transport, event.path.socket, remote.ip_text(), remote.port, bytes_from(event),
                        kind);
}

}  // namespace parley
