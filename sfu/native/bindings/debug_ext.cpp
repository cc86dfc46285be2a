// `sfu.engine._debug`: the core's algorithms one by one, for property tests against small Python oracles, and the bare
// relay that the bench measures the machine by. Not used by the server. Times are ns; -1 stands for "absent".
// Thread: any Python thread, one object at a time.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unordered_map.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "../micro/bare_relay.h"
#include "codec_peek/red.h"
#include "forward_sequencer.h"
#include "munger.h"
#include "nack_generator.h"
#include "rtp_write.h"
#include "rtx.h"
#include "srtp.h"
#include "twcc_recorder.h"

namespace nb = nanobind;

namespace parley {

namespace {

constexpr std::uint64_t kSecret = 0x9e3779b97f4a7c15;  // what spreads SSRCs; nobody attacks a bench

using IdMap = std::unordered_map<std::string, int>;

Bytes view_of(const nb::bytes& data) { return {static_cast<const std::uint8_t*>(data.data()), data.size()}; }

nb::bytes bytes_of(Bytes data) { return nb::bytes(data.data(), data.size()); }

ExtensionIds ids_of(const IdMap& map) {
  ExtensionIds ids;
  for (const auto& [name, id] : map) {
    const auto extension = extension_from_name(name);
    if (!extension || id < 0 || id > 255 || !ids.set(*extension, static_cast<std::uint8_t>(id))) {
      throw nb::value_error(("no extension or id: " + name).c_str());
    }
  }
  return ids;
}

nb::object parse(const nb::bytes& data, const IdMap& ids) {
  const auto rtp = parse_rtp(view_of(data));
  if (!rtp) {
    return nb::none();
  }
  const ExtensionTable table = read_extensions(*rtp, ids_of(ids));
  nb::dict extensions;
  for (std::size_t i = 0; i < kExtensionCount; ++i) {
    const auto extension = static_cast<Extension>(i);
    if (table.has(extension)) {
      extensions[nb::str(kExtensionNames[i].data(), kExtensionNames[i].size())] = bytes_of(table.get(*rtp, extension));
    }
  }
  nb::dict result;
  result["pt"] = rtp->pt;
  result["marker"] = rtp->marker;
  result["seq"] = rtp->seq;
  result["timestamp"] = rtp->timestamp;
  result["ssrc"] = rtp->ssrc;
  result["csrc_count"] = rtp->csrc_count;
  result["padding"] = rtp->padding_size;
  result["payload"] = bytes_of(rtp->payload());
  result["extensions"] = extensions;
  return std::move(result);
}

std::optional<nb::bytes> rewrite(const nb::bytes& data, const IdMap& receive_ids, const IdMap& send_ids,
                                 const std::string& mid, std::uint32_t ssrc, int pt, std::uint16_t seq,
                                 std::uint32_t timestamp, std::uint16_t twcc_seq, std::uint32_t abs_send_time,
                                 bool marker, int original_seq, std::size_t room) {
  const auto rtp = parse_rtp(view_of(data));
  if (!rtp) {
    return std::nullopt;
  }
  Packet packet;
  packet.rtp = *rtp;
  packet.extensions = read_extensions(*rtp, ids_of(receive_ids));
  const ExtensionIds ids = ids_of(send_ids);
  ExtensionPlan plan;
  plan.build(packet, ids);
  std::vector<std::uint8_t> out(room);
  const std::size_t size = write_rtp(packet, HeaderTemplate(ids, mid), plan,
                                     {.ssrc = ssrc,
                                      .timestamp = timestamp,
                                      .abs_send_time = abs_send_time,
                                      .original_seq = original_seq,
                                      .seq = seq,
                                      .twcc_seq = twcc_seq,
                                      .pt = static_cast<std::uint8_t>(pt),
                                      .marker = marker},
                                     {}, out);
  if (size == 0) {
    return std::nullopt;
  }
  return bytes_of(Bytes(out).first(size));
}

std::optional<nb::bytes> unwrap_rtx(const nb::bytes& data, int pt, std::uint32_t ssrc) {
  const Bytes source = view_of(data);
  std::vector<std::uint8_t> packet(source.begin(), source.end());
  const auto rtx = parse_rtp(packet);
  if (!rtx) {
    return std::nullopt;
  }
  const auto original = decapsulate_rtx(packet, *rtx, static_cast<std::uint8_t>(pt), ssrc);
  if (!original) {
    return std::nullopt;
  }
  return bytes_of(*original);
}

// The blocks of a RED payload, oldest first: (payload type, timestamp offset, data); the last is the newest frame.
using Block = std::tuple<int, int, nb::bytes>;

std::optional<std::vector<Block>> split_red(const nb::bytes& data) {
  const Bytes payload = view_of(data);
  const auto red = parse_red(payload);
  if (!red) {
    return std::nullopt;
  }
  std::vector<Block> blocks;
  for (std::size_t index = 0; index < red->copy_count; ++index) {
    const RedBlock& copy = red->copies[index];
    blocks.emplace_back(copy.pt, copy.timestamp_offset, bytes_of(copy.data));
  }
  blocks.emplace_back(red->primary_pt, 0, bytes_of(payload.subspan(red->primary_offset)));
  return blocks;
}

// (seq, timestamp, picture_id, tl0_pic_idx, keyidx, marker) as sent.
using Sent = std::tuple<std::int64_t, std::uint32_t, int, int, int, bool>;

Sent sent_of(const Munged& munged) {
  return {munged.ext_seq, munged.timestamp, munged.picture_id, munged.tl0_pic_idx, munged.keyidx, munged.marker};
}

// What the munger looks at of a packet; -1: the field is absent.
Packet packet_of(std::int64_t ext_seq, std::uint32_t timestamp, int picture_id, int tl0, int keyidx, bool padding) {
  Packet packet;
  packet.codec = Codec::kVp8;
  packet.ext_seq = ext_seq;
  packet.rtp.timestamp = timestamp;
  packet.rtp.payload_size = padding ? 0 : 100;
  packet.payload.valid = true;
  packet.payload.picture = {.prefix_size = 6,
                            .has_picture_id = picture_id >= 0,
                            .is_15_bit = true,
                            .has_tl0_pic_idx = tl0 >= 0,
                            .has_tid_keyidx = keyidx >= 0,
                            .picture_id = static_cast<std::uint16_t>(picture_id),
                            .tl0_pic_idx = static_cast<std::uint8_t>(tl0),
                            .keyidx = static_cast<std::uint8_t>(keyidx)};
  return packet;
}

void bind_munger(nb::module_& module) {
  nb::class_<Munger>(module, "Munger")
      .def(nb::init<std::uint16_t, std::uint32_t>(), nb::arg("first_seq"), nb::arg("first_timestamp"))
      .def(
          "switch_source",
          [](Munger& self, std::int64_t ext_seq, std::uint32_t timestamp, int picture_id, int tl0, int keyidx,
             std::optional<std::uint32_t> aligned, std::uint32_t clock_hz, TimeNs now) {
            return sent_of(self.switch_source(packet_of(ext_seq, timestamp, picture_id, tl0, keyidx, false), aligned,
                                              clock_hz, now));
          },
          nb::arg("ext_seq"), nb::arg("timestamp"), nb::arg("picture_id"), nb::arg("tl0"), nb::arg("keyidx"),
          nb::arg("aligned").none(), nb::arg("clock_hz"), nb::arg("now"))
      .def(
          "forward",
          [](Munger& self, std::int64_t ext_seq, std::uint32_t timestamp, int picture_id, int tl0, int keyidx,
             bool padding, TimeNs now) -> std::optional<Sent> {
            const auto munged =
                self.forward(packet_of(ext_seq, timestamp, picture_id, tl0, keyidx, padding), false, now);
            return munged ? std::optional(sent_of(*munged)) : std::nullopt;
          },
          nb::arg("ext_seq"), nb::arg("timestamp"), nb::arg("picture_id"), nb::arg("tl0"), nb::arg("keyidx"),
          nb::arg("padding"), nb::arg("now"))
      .def(
          "drop",
          [](Munger& self, std::int64_t ext_seq, int picture_id) {
            self.drop(packet_of(ext_seq, 0, picture_id, -1, -1, false));
          },
          nb::arg("ext_seq"), nb::arg("picture_id"));
}

void bind_sequencer(nb::module_& module) {
  nb::class_<ForwardSequencer>(module, "ForwardSequencer")
      .def(
          "__init__",
          [](ForwardSequencer* self, std::uint16_t entries, std::int64_t max_credit, std::int64_t first_credit) {
            new (self) ForwardSequencer(
                {.entries = entries, .max_credit_bytes = max_credit, .first_credit_bytes = first_credit});
          },
          nb::arg("entries"), nb::arg("max_credit"), nb::arg("first_credit"))
      .def(
          "record",
          [](ForwardSequencer& self, std::uint16_t seq, std::uint32_t source_seq, std::uint16_t size, TimeNs now) {
            self.record({.source_seq = source_seq, .seq = seq, .size = size}, now);
          },
          nb::arg("seq"), nb::arg("source_seq"), nb::arg("size"), nb::arg("now"))
      .def(
          "request",
          [](ForwardSequencer& self, std::uint16_t seq, TimeNs now, TimeNs rtt) {
            constexpr const char* kNames[] = {"send", "unknown", "too_soon", "exhausted", "over_budget"};
            SentPacket out;
            const auto verdict = self.request(seq, now, rtt, out);
            return std::tuple(std::string(kNames[static_cast<int>(verdict)]), out.source_seq);
          },
          nb::arg("seq"), nb::arg("now"), nb::arg("rtt"));
}

void bind_nack(nb::module_& module) {
  nb::class_<NackGenerator>(module, "NackGenerator")
      .def(
          "__init__",
          [](NackGenerator* self, std::uint16_t max_missing, std::uint16_t max_gap, std::uint16_t max_credit) {
            new (self) NackGenerator({.max_missing = max_missing, .max_gap = max_gap, .max_credit = max_credit});
          },
          nb::arg("max_missing") = 256, nb::arg("max_gap") = 128, nb::arg("max_credit") = 256)
      .def(
          "receive",
          [](NackGenerator& self, std::int64_t ext_seq, TimeNs now) {
            constexpr const char* kNames[] = {"first", "in_order", "gap", "recovered", "old", "reset"};
            return std::string(kNames[static_cast<int>(self.receive(ext_seq, now))]);
          },
          nb::arg("ext_seq"), nb::arg("now"))
      .def(
          "poll",
          [](NackGenerator& self, TimeNs now, TimeNs rtt, std::size_t room) {
            std::vector<std::uint16_t> out(room);
            out.resize(self.poll(now, rtt, out));
            return out;
          },
          nb::arg("now"), nb::arg("rtt"), nb::arg("room") = 256)
      .def_prop_ro("deadline",
                   [](const NackGenerator& self) -> std::optional<TimeNs> {
                     return self.deadline() == kNever ? std::nullopt : std::optional(self.deadline());
                   })
      .def_prop_ro("missing", &NackGenerator::missing)
      .def_prop_ro("given_up", &NackGenerator::given_up);
}

void bind_twcc(nb::module_& module) {
  nb::class_<TwccRecorder>(module, "TwccRecorder")
      .def(nb::init<>())
      .def("receive", &TwccRecorder::receive, nb::arg("seq"), nb::arg("now"))
      .def("is_due", &TwccRecorder::is_due, nb::arg("now"))
      .def(
          "build",
          [](TwccRecorder& self, TimeNs now, std::size_t room) -> std::optional<nb::bytes> {
            std::vector<std::uint8_t> bytes(room);
            Writer out(bytes);
            if (!self.build(out, 1, 2, now)) {
              return std::nullopt;
            }
            return bytes_of(out.written());
          },
          nb::arg("now"), nb::arg("room") = 1200);
}

Endpoint endpoint_of(const std::string& ip, std::uint16_t port) {
  const auto endpoint = Endpoint::parse(ip, port);
  if (!endpoint) {
    throw nb::value_error(("not an IP address: " + ip).c_str());
  }
  return *endpoint;
}

SrtpProfile profile_of(const std::string& name) {
  const auto profile = SrtpProfile::by_name(name);
  if (!profile) {
    throw nb::value_error(("unknown SRTP profile: " + name).c_str());
  }
  return *profile;
}

// A packet as a cipher leaves it; nothing when it refuses.
template <typename Pass>
std::optional<nb::bytes> passed(const nb::bytes& packet, Pass pass) {
  const Bytes data = view_of(packet);
  std::vector<std::uint8_t> buffer(data.begin(), data.end());
  buffer.resize(data.size() + kMaxSrtpTrailer);
  std::size_t size = data.size();
  if (pass(buffer.data(), size) != SrtpError::kNone) {
    return std::nullopt;
  }
  return bytes_of(Bytes(buffer).first(size));
}

void bind_srtp(nb::module_& module) {
  nb::class_<SrtpCiphers>(module, "GcmCiphers")
      .def(
          "__init__",
          [](SrtpCiphers* self, const nb::bytes& rx_master, const nb::bytes& tx_master) {
            new (self) SrtpCiphers(SrtpCiphers::derive(view_of(rx_master), view_of(tx_master), kSecret));
            if (self->rx == nullptr || self->tx == nullptr) {
              self->~SrtpCiphers();
              throw nb::value_error("no cipher for these masters");
            }
          },
          nb::arg("rx_master"), nb::arg("tx_master"))
      .def(
          "protect",
          [](SrtpCiphers& self, const nb::bytes& packet) {
            return passed(packet, [&](std::uint8_t* data, std::size_t& size) { return self.tx->protect(data, size); });
          },
          nb::arg("packet"))
      .def(
          "unprotect",
          [](SrtpCiphers& self, const nb::bytes& packet) {
            return passed(packet,
                          [&](std::uint8_t* data, std::size_t& size) { return self.rx->unprotect(data, size); });
          },
          nb::arg("packet"));
}

void bind_relay(nb::module_& module) {
  using Table = std::tuple<std::uintptr_t, std::uintptr_t, std::uintptr_t, std::uintptr_t>;
  nb::class_<BareRelay>(module, "BareRelay")
      .def(
          "__init__",
          [](BareRelay* self, const Table& srtp, const std::string& ip) {
            const auto table =
                SrtpTable::from_addresses(std::get<0>(srtp), std::get<1>(srtp), std::get<2>(srtp), std::get<3>(srtp));
            if (!table.is_complete()) {
              throw nb::value_error("the SRTP table lacks a function");
            }
            new (self) BareRelay(table);
            if (const std::string error = self->open(ip); !error.empty()) {
              self->~BareRelay();
              throw nb::value_error(error.c_str());
            }
          },
          nb::arg("srtp"), nb::arg("ip"))
      .def_prop_ro("port", &BareRelay::port)
      .def(
          "add_publisher",
          [](BareRelay& self, const std::string& ip, std::uint16_t port, std::uintptr_t rx, const std::string& profile,
             const nb::bytes& master) {
            self.add_publisher(endpoint_of(ip, port), SrtpTable::session_from_address(rx), profile_of(profile),
                               SrtpCiphers::derive(view_of(master), {}, kSecret));
          },
          nb::arg("ip"), nb::arg("port"), nb::arg("rx"), nb::arg("profile"), nb::arg("master"))
      .def(
          "add_receiver",
          [](BareRelay& self, const std::string& ip, std::uint16_t port, std::uintptr_t tx, const std::string& profile,
             const nb::bytes& master, int except) {
            self.add_receiver(endpoint_of(ip, port), SrtpTable::session_from_address(tx), profile_of(profile),
                              SrtpCiphers::derive({}, view_of(master), kSecret), except);
          },
          nb::arg("ip"), nb::arg("port"), nb::arg("tx"), nb::arg("profile"), nb::arg("master"),
          nb::arg("except_publisher") = -1)
      .def("start", &BareRelay::start)
      .def("stop", &BareRelay::stop, nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("packets", &BareRelay::packets)
      .def_prop_ro("messages", &BareRelay::messages);
}

}  // namespace

}  // namespace parley

NB_MODULE(_debug, module) {
  module.def("parse_rtp", &parley::parse, nb::arg("data"), nb::arg("ids"));
  module.def("rewrite_rtp", &parley::rewrite, nb::arg("data"), nb::arg("receive_ids"), nb::arg("send_ids"),
             nb::arg("mid"), nb::arg("ssrc"), nb::arg("pt"), nb::arg("seq"), nb::arg("timestamp"), nb::arg("twcc_seq"),
             nb::arg("abs_send_time"), nb::arg("marker"), nb::arg("original_seq") = -1, nb::arg("room") = 4096);
  module.def("unwrap_rtx", &parley::unwrap_rtx, nb::arg("data"), nb::arg("pt"), nb::arg("ssrc"));
  module.def("split_red", &parley::split_red, nb::arg("data"));
  parley::bind_munger(module);
  parley::bind_sequencer(module);
  parley::bind_nack(module);
  parley::bind_twcc(module);
  parley::bind_srtp(module);
  parley::bind_relay(module);
}
