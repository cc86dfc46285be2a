// `sfu.engine._core`: the engine as Python calls it. Converts, releases the GIL, nothing else.
// Thread: any Python thread.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unordered_map.h>
#include <nanobind/stl/vector.h>

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "arguments.h"
#include "engine.h"
#include "event_tuples.h"

namespace nb = nanobind;

namespace parley {

namespace {

struct QueueFullError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class PyEngine {
 public:
  PyEngine(std::size_t workers, const std::vector<AddressList>& sockets, int gate_fd, std::uint32_t gate_slots,
           const std::tuple<std::uintptr_t, std::uintptr_t, std::uintptr_t, std::uintptr_t>& srtp,
           std::uint32_t coalesce_us, std::uint32_t idle_ms, const nb::bytes& secret_seed, bool gro,
           const AddressList& tcp, const std::pair<std::uintptr_t, std::uintptr_t>& hmac) {
    if (workers != sockets.size()) {
      throw nb::value_error("sockets must name the addresses of each worker");
    }
    EngineConfig config;
    config.sockets = sockets;
    config.tcp = tcp;
    config.gate_fd = gate_fd;
    config.gate_slots = gate_slots;
    config.srtp = SrtpTable::from_addresses(std::get<0>(srtp), std::get<1>(srtp), std::get<2>(srtp), std::get<3>(srtp));
    config.hmac = HmacTable::from_addresses(hmac.first, hmac.second);
    config.gro = gro;
    config.coalesce_us = coalesce_us;
    config.idle_ms = idle_ms;
    config.seed = seed_from(secret_seed);
    seed_ = config.seed;
    std::string error;
    engine_ = Engine::start(std::move(config), error);
    if (engine_ == nullptr) {
      throw std::runtime_error(error);
    }
  }

  [[nodiscard]] int event_fd() const { return engine_->event_fd(); }

  void close() {
    const nb::gil_scoped_release release;
    engine_->close();
  }

  nb::list poll(std::size_t limit) {
    nb::list events;
    const auto append = [&events](std::size_t worker, const auto& event) { events.append(to_tuple(worker, event)); };
    engine_->poll(limit, append, append);
    return events;
  }

  [[nodiscard]] AddressList addresses(std::size_t worker) const { return list_from(engine_->addresses(worker)); }
  [[nodiscard]] AddressList tcp_addresses() const { return list_from(engine_->tcp_addresses()); }

  template <typename Body>
  std::uint64_t command(Body body) {
    const auto ack = engine_->enqueue(std::move(body));  // waits for nobody: the GIL stays
    if (!ack) {
      engine_->flush();
      throw QueueFullError("the worker's command queue is full, or the engine is closed");
    }
    return *ack;
  }

  void flush() { engine_->flush(); }

  std::uint64_t send(std::size_t worker, std::uint32_t socket, const std::string& ip, std::uint16_t port,
                     const nb::bytes& data, const std::string& kind) {
    const auto* first = static_cast<const std::uint8_t*>(data.data());
    return command(SendDatagram{worker, path_from(socket, ip, port, kind), {first, first + data.size()}});
  }

  std::uint64_t set_srtp(std::uint32_t transport, std::uintptr_t rx, std::uintptr_t tx, const std::string& profile,
                         const nb::bytes& rx_master, const nb::bytes& tx_master) {
    const auto sizes = SrtpProfile::by_name(profile);
    if (!sizes) {
      throw nb::value_error(("unknown SRTP profile: " + profile).c_str());
    }
    if (rx_master.size() + tx_master.size() != 0 && profile != "AEAD_AES_128_GCM") {
      throw nb::value_error(("masters are taken for AEAD_AES_128_GCM alone, not for " + profile).c_str());
    }
    return command(
        SetSrtp{transport, session_from(rx), session_from(tx), *sizes, ciphers_from(rx_master, tx_master, seed_)});
  }

  std::uint64_t set_extensions(std::uint32_t transport, const std::unordered_map<std::string, int>& ids, bool is_send) {
    return command(SetExtensions{transport, extension_ids_from(ids), is_send});
  }

  std::uint64_t add_track(std::uint32_t track, std::uint32_t transport, const std::string& kind, std::string mid,
                          const std::vector<CodecTuple>& codecs, const std::vector<EncodingTuple>& encodings, bool nack,
                          bool twcc, bool e2ee, bool fir, std::uint32_t stage) {
    AddTrack body{track, transport, is_video_from(kind), std::move(mid), {}, {}, nack, twcc, e2ee, fir, stage};
    for (const auto& [pt, name, clock_hz, rtx_pt] : codecs) {
      if (clock_hz == 0) {
        throw nb::value_error("a codec's clock must not be 0");
      }
      body.codecs.push_back({payload_type_from(pt), codec_from(name), clock_hz, rtx_payload_type_from(rtx_pt)});
    }
    for (const auto& [rid, ssrc, rtx_ssrc] : encodings) {
      body.encodings.push_back({rid, ssrc, rtx_ssrc});
    }
    return command(std::move(body));
  }

  std::uint64_t add_forward(std::uint32_t forward, std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc,
                            std::uint32_t rtx_ssrc, std::string mid,
                            const std::unordered_map<std::string, std::pair<int, int>>& payload_types,
                            std::uint32_t gate_slot, std::uint64_t gate_version, bool paused) {
    AddForward body{forward, track, transport, ssrc, rtx_ssrc, std::move(mid), {}, {gate_slot, gate_version}, paused};
    for (const auto& [name, types] : payload_types) {
      body.payload_types.push_back(
          {codec_from(name), payload_type_from(types.first), rtx_payload_type_from(types.second)});
    }
    return command(std::move(body));
  }

  std::uint64_t add_sink(std::uint32_t sink, int fd) {
    UniqueFd own(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!own.is_open()) {
      throw std::runtime_error(std::string("sink: ") + std::strerror(errno));
    }
    return command(AddSink{sink, std::move(own)});
  }

  std::uint64_t add_generator(std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc, int pt,
                              std::uint32_t clock_hz, double packets_per_s, std::uint32_t burst, std::uint32_t size,
                              std::string mid, const std::string& codec, std::string rid, std::uint16_t height) {
    return command(AddGenerator{track, transport, ssrc, payload_type_from(pt), clock_hz, packets_per_s, burst, size,
                                std::move(mid), codec_from(codec), std::move(rid), height});
  }

  void open_gate(std::uint32_t slot, std::uint64_t version) { check_slot(engine_->open_gate(slot, version)); }
  void close_gate(std::uint32_t slot, std::uint64_t version) { check_slot(engine_->gates().close(slot, version)); }

 private:
  static void* session_from(std::uintptr_t address) {
    return address == 0 ? nullptr : SrtpTable::session_from_address(address);
  }
  static void check_slot(bool is_valid) {
    if (!is_valid) {
      throw nb::value_error("gate slot outside the page");
    }
  }

  std::unique_ptr<Engine> engine_;
  std::uint64_t seed_ = 0;
};

}  // namespace

}  // namespace parley

NB_MODULE(_core, m) {
  using namespace parley;
  m.doc() = "The native media engine. See sfu/engine/api.py for the typed contract.";
  nb::exception<QueueFullError>(m, "QueueFull");
  m.def("aes_gcm", [] { return AesGcm::implementation(); });
  nb::class_<PyEngine>(m, "Engine")
      .def(nb::init<std::size_t, const std::vector<AddressList>&, int, std::uint32_t,
                    const std::tuple<std::uintptr_t, std::uintptr_t, std::uintptr_t, std::uintptr_t>&, std::uint32_t,
                    std::uint32_t, const nb::bytes&, bool, const AddressList&,
                    const std::pair<std::uintptr_t, std::uintptr_t>&>(),
           nb::kw_only(), nb::arg("workers"), nb::arg("sockets"), nb::arg("gate_fd"), nb::arg("gate_slots"),
           nb::arg("srtp"), nb::arg("coalesce_us") = 2000, nb::arg("idle_ms") = 10'000,
           nb::arg("secret_seed") = nb::bytes("", 0), nb::arg("gro") = true, nb::arg("tcp") = AddressList{},
           nb::arg("hmac") = std::pair<std::uintptr_t, std::uintptr_t>{})
      .def_prop_ro("event_fd", &PyEngine::event_fd)
      .def("poll", &PyEngine::poll, nb::arg("limit") = 1024)
      .def("addresses", &PyEngine::addresses, nb::arg("worker"))
      .def("tcp_addresses", &PyEngine::tcp_addresses)
      .def("close", &PyEngine::close)
      .def(
          "add_transport",
          [](PyEngine& self, std::uint32_t transport, std::size_t worker, std::vector<std::string> ufrags) {
            return self.command(AddTransport{worker, transport, std::move(ufrags)});
          },
          nb::arg("transport"), nb::arg("worker"), nb::arg("ufrags"))
      .def(
          "add_injected_transport",
          [](PyEngine& self, std::uint32_t transport, std::size_t worker, std::uint32_t sink) {
            return self.command(AddInjectedTransport{worker, transport, sink});
          },
          nb::arg("transport"), nb::arg("worker"), nb::arg("sink"))
      .def(
          "set_ufrags",
          [](PyEngine& self, std::uint32_t transport, std::vector<std::string> ufrags) {
            return self.command(SetUfrags{transport, std::move(ufrags)});
          },
          nb::arg("transport"), nb::arg("ufrags"))
      .def(
          "lend_credentials",
          [](PyEngine& self, std::uint32_t transport, std::string ufrag, std::string pwd) {
            return self.command(LendCredentials{transport, std::move(ufrag), std::move(pwd)});
          },
          nb::arg("transport"), nb::arg("ufrag"), nb::arg("pwd"))
      .def(
          "bind_path",
          [](PyEngine& self, std::uint32_t transport, std::uint32_t socket, const std::string& ip, std::uint16_t port,
             bool selected, const std::string& kind) {
            return self.command(BindPath{transport, path_from(socket, ip, port, kind), selected});
          },
          nb::arg("transport"), nb::arg("socket"), nb::arg("ip"), nb::arg("port"), nb::arg("selected"),
          nb::arg("kind") = "udp")
      .def(
          "unbind_path",
          [](PyEngine& self, std::uint32_t transport, std::uint32_t socket, const std::string& ip, std::uint16_t port,
             const std::string& kind) {
            return self.command(UnbindPath{transport, path_from(socket, ip, port, kind)});
          },
          nb::arg("transport"), nb::arg("socket"), nb::arg("ip"), nb::arg("port"), nb::arg("kind") = "udp")
      .def("send", &PyEngine::send, nb::arg("worker"), nb::arg("socket"), nb::arg("ip"), nb::arg("port"),
           nb::arg("data"), nb::arg("kind") = "udp")
      .def("flush", &PyEngine::flush)
      .def("set_srtp", &PyEngine::set_srtp, nb::arg("transport"), nb::arg("rx"), nb::arg("tx"), nb::arg("profile"),
           nb::arg("rx_master") = nb::bytes("", 0), nb::arg("tx_master") = nb::bytes("", 0))
      .def(
          "set_receive_extensions",
          [](PyEngine& self, std::uint32_t transport, const std::unordered_map<std::string, int>& ids) {
            return self.set_extensions(transport, ids, false);
          },
          nb::arg("transport"), nb::arg("ids"))
      .def(
          "set_send_extensions",
          [](PyEngine& self, std::uint32_t transport, const std::unordered_map<std::string, int>& ids) {
            return self.set_extensions(transport, ids, true);
          },
          nb::arg("transport"), nb::arg("ids"))
      .def(
          "remove_transport",
          [](PyEngine& self, std::uint32_t transport) { return self.command(RemoveTransport{transport}); },
          nb::arg("transport"))
      .def("add_track", &PyEngine::add_track, nb::arg("track"), nb::arg("transport"), nb::arg("kind"), nb::arg("mid"),
           nb::arg("codecs"), nb::arg("encodings"), nb::arg("nack"), nb::arg("twcc"), nb::arg("e2ee") = false,
           nb::arg("fir") = false, nb::arg("stage") = 0)
      .def(
          "set_stage",
          [](PyEngine& self, std::size_t worker, std::uint32_t stage, std::uint32_t places) {
            return self.command(SetStage{worker, stage, places});
          },
          nb::arg("worker"), nb::arg("stage"), nb::arg("places"))
      .def(
          "remove_track", [](PyEngine& self, std::uint32_t track) { return self.command(RemoveTrack{track}); },
          nb::arg("track"))
      .def(
          "set_track_enabled",
          [](PyEngine& self, std::uint32_t track, bool enabled) {
            return self.command(SetTrackEnabled{track, enabled});
          },
          nb::arg("track"), nb::arg("enabled"))
      .def(
          "request_keyframe", [](PyEngine& self, std::uint32_t track) { return self.command(RequestKeyframe{track}); },
          nb::arg("track"))
      .def("add_forward", &PyEngine::add_forward, nb::arg("forward"), nb::arg("track"), nb::arg("transport"),
           nb::arg("ssrc"), nb::arg("rtx_ssrc"), nb::arg("mid"), nb::arg("payload_types"), nb::arg("gate_slot"),
           nb::arg("gate_version"), nb::arg("paused"))
      .def(
          "set_forward",
          [](PyEngine& self, std::uint32_t forward, bool paused, int spatial, int temporal, bool at_once) {
            return self.command(SetForward{forward, paused, spatial, temporal, at_once});
          },
          nb::arg("forward"), nb::arg("paused"), nb::arg("spatial"), nb::arg("temporal"), nb::arg("at_once"))
      .def(
          "set_wanted",
          [](PyEngine& self, std::uint32_t transport, std::uint64_t bps) {
            return self.command(SetWanted{transport, bps});
          },
          nb::arg("transport"), nb::arg("bps"))
      .def(
          "set_forward_source",
          [](PyEngine& self, std::uint32_t forward, std::uint32_t track, std::uint32_t gate_slot,
             std::uint64_t gate_version) {
            return self.command(SetForwardSource{forward, track, {gate_slot, gate_version}});
          },
          nb::arg("forward"), nb::arg("track"), nb::arg("gate_slot"), nb::arg("gate_version"))
      .def(
          "set_forward_gate",
          [](PyEngine& self, std::uint32_t forward, std::uint32_t gate_slot, std::uint64_t gate_version) {
            return self.command(SetForwardGate{forward, {gate_slot, gate_version}});
          },
          nb::arg("forward"), nb::arg("gate_slot"), nb::arg("gate_version"))
      .def(
          "remove_forward", [](PyEngine& self, std::uint32_t forward) { return self.command(RemoveForward{forward}); },
          nb::arg("forward"))
      .def("add_sink", &PyEngine::add_sink, nb::arg("sink"), nb::arg("fd"))
      .def(
          "remove_sink", [](PyEngine& self, std::uint32_t sink) { return self.command(RemoveSink{sink}); },
          nb::arg("sink"))
      .def(
          "add_tap",
          [](PyEngine& self, std::uint32_t tap, std::uint32_t track, std::uint32_t sink, std::uint32_t gate_slot,
             std::uint64_t gate_version) { return self.command(AddTap{tap, track, sink, {gate_slot, gate_version}}); },
          nb::arg("tap"), nb::arg("track"), nb::arg("sink"), nb::arg("gate_slot"), nb::arg("gate_version"))
      .def(
          "set_tap_gate",
          [](PyEngine& self, std::uint32_t tap, std::uint32_t gate_slot, std::uint64_t gate_version) {
            return self.command(SetTapGate{tap, {gate_slot, gate_version}});
          },
          nb::arg("tap"), nb::arg("gate_slot"), nb::arg("gate_version"))
      .def(
          "remove_tap", [](PyEngine& self, std::uint32_t tap) { return self.command(RemoveTap{tap}); }, nb::arg("tap"))
      .def("open_gate", &PyEngine::open_gate, nb::arg("slot"), nb::arg("version"))
      .def("close_gate", &PyEngine::close_gate, nb::arg("slot"), nb::arg("version"))
      .def(
          "fence", [](PyEngine& self, std::size_t worker) { return self.command(Fence{worker}); }, nb::arg("worker"))
      .def(
          "query_stats", [](PyEngine& self, std::size_t worker) { return self.command(QueryStats{worker}); },
          nb::arg("worker"))
      .def(
          "add_client_transport",
          [](PyEngine& self, std::uint32_t transport, std::size_t worker, std::uint32_t socket, const std::string& ip,
             std::uint16_t port, double loss, std::int16_t rtx_pt) {
            if (!(loss >= 0 && loss <= 1)) {
              throw nb::value_error("loss must be between 0 and 1");
            }
            return self.command(AddClientTransport{worker, transport, socket, endpoint_from(ip, port),
                                                   static_cast<std::uint16_t>(loss * 1000), rtx_pt});
          },
          nb::arg("transport"), nb::arg("worker"), nb::arg("socket"), nb::arg("ip"), nb::arg("port"),
          nb::arg("loss") = 0.0, nb::arg("rtx_pt") = -1)
      .def("add_generator", &PyEngine::add_generator, nb::arg("track"), nb::arg("transport"), nb::arg("ssrc"),
           nb::arg("pt"), nb::arg("clock_hz"), nb::arg("packets_per_s"), nb::arg("burst"), nb::arg("size"),
           nb::arg("mid"), nb::arg("codec"), nb::arg("rid") = "", nb::arg("height") = 0)
      .def(
          "remove_generator", [](PyEngine& self, std::uint32_t track) { return self.command(RemoveGenerator{track}); },
          nb::arg("track"));
}
