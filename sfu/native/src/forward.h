// One track on its way to one subscriber, on one outgoing SSRC.
// Thread: the worker that owns the subscriber's transport.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "codec.h"
#include "forward_sequencer.h"
#include "gate_page.h"
#include "layer_gate.h"
#include "munger.h"
#include "packet.h"
#include "rtp_write.h"
#include "sender_report.h"

namespace parley {

struct Track;
struct Transport;

struct Forward {
  struct PayloadType {
    std::int16_t pt = -1;  // -1: the subscriber has no payload type for this codec
    std::int16_t rtx_pt = -1;
  };

  Forward(std::uint32_t forward_id, Transport& subscriber, bool video, std::uint16_t first_seq,
          std::uint32_t first_timestamp)
      : id(forward_id), transport(subscriber), is_video(video), layers(video), munger(first_seq, first_timestamp) {}

  std::uint32_t id;
  Track* track = nullptr;  // null: fed by nothing at present
  Transport& transport;
  bool is_video;
  std::uint32_t ssrc = 0;
  std::uint32_t rtx_ssrc = 0;
  std::string mid;
  std::array<PayloadType, kCodecCount> payload_types{};
  GatePosition gate;
  HeaderTemplate header;

  LayerGate layers;
  Munger munger;
  ForwardSequencer sequencer;
  SentReports reports;
  std::uint16_t rtx_seq = 0;
  std::int16_t last_rtx_pt = -1;          // of the codec sent last; -1: nothing to pad with
  int source_encoding = -1;               // of the packet sent last
  Track* source_track = nullptr;          // the same; the track may be another since set_forward_source
  std::int64_t source_start = 0;          // number of the first packet of the source at hand
  std::uint32_t clock_hz = 0;             // of the codec sent last
  std::uint32_t turn = 0;                 // of its source on the stage, when it sent last
  TimeNs open_since = kNever;             // what arrived until then is of another grant; kNever: the gate was not open
  Codec refused_codec = Codec::kUnknown;  // told as unsupported

  TimeNs next_report = 0;
  std::uint32_t packets = 0;
  std::uint32_t bytes = 0;  // payload bytes, as sender reports count them
  std::uint64_t resent = 0;
  std::uint64_t nacked = 0;
  std::uint64_t dropped_by_gate = 0;
  std::uint64_t keyframe_requests = 0;
  std::uint8_t fraction_lost = 0;  // the subscriber's last report
  std::uint32_t lost = 0;

  // Behind a consent gate: it leads outside the room, and gets everyone whatever the room hears.
  [[nodiscard]] bool is_outside() const { return gate.slot != 0; }

  // Whether it may send what arrived then: outside the room only what came under the grant at hand, whatever waited for
  // its batch when the gate opened.
  [[nodiscard]] bool admits(TimeNs arrival) const { return arrival > open_since || !is_outside(); }

  // The gate closed or changed: nothing that went out, or was stored, under the former grant is sent (again).
  void begin_gate() {
    open_since = kNever;
    layers.reset_source();
    sequencer.clear();
  }

  // As which codec a packet goes out. RED loses its copies where the subscriber has no RED, and where they are of
  // frames from before the forward had its source: a gate or a mute may have been shut then.
  [[nodiscard]] Codec outgoing(const Packet& packet) const {
    const bool keeps_copies =
        payload_type(Codec::kRed).pt >= 0 && packet.ext_seq - source_start >= packet.payload.copies;
    return packet.has_copies() && !keeps_copies ? Codec::kOpus : packet.codec;
  }

  [[nodiscard]] PayloadType payload_type(Codec codec) const { return payload_types[static_cast<std::size_t>(codec)]; }
};

}  // namespace parley
