#include "tap_writer.h"

#include <array>

#include "codec_peek/red.h"

namespace parley {

void TapWriter::serve(Tap& tap, std::span<const Gathered> packets) {
  if (!context_.gates.is_open(tap.gate)) {
    tap.dropped_by_gate += packets.size();
    context_.counters.add(Counter::drop_tap_gate_closed, packets.size());
    return;
  }
  const TimeNs opened = context_.gates.opened_at(tap.gate);
  for (const Gathered& gathered : packets) {
    const Packet& packet = *gathered.packet;
    if (packet.is_padding_only() || gathered.is_lead_in) {
      continue;
    }
    if (packet.arrival <= opened) {
      ++tap.dropped_by_gate;
      context_.counters.add(Counter::drop_tap_gate_closed);
      continue;
    }
    TapRecord record{.kind = TapKind::kRtp,
                     .flags = 0,
                     .encoding_index = packet.encoding,
                     .tap = tap.id,
                     .gate_slot = tap.gate.slot,
                     .gate_version = tap.gate.version,
                     .arrival_ns = static_cast<std::uint64_t>(packet.arrival),
                     .ssrc = packet.rtp.ssrc,
                     .codec = packet.has_copies() ? Codec::kOpus : packet.codec};
    if (packet.payload.keyframe_start) {
      record.flags |= kTapKeyframe;
    }
    if (packet.repaired) {
      record.flags |= kTapRepaired;
    }
    if (gathered.codec_changed) {
      record.flags |= kTapCodecChanged;
    }
    const Bytes body = packet.has_copies() ? without_copies(packet, plain_) : packet.rtp.packet;
    append(tap, record, body);
    ++tap.packets;
    tap.bytes += body.size();
    context_.counters.add(Counter::taps_written);
  }
}

void TapWriter::report(Track& track, std::uint8_t encoding, const SenderInfo& report, TimeNs now) {
  if (track.taps.empty()) {
    return;
  }
  std::array<std::uint8_t, 16> body{};
  const auto put = [&body](std::size_t at, std::uint64_t value, std::size_t size) {
    for (std::size_t byte = 0; byte < size; ++byte) {
      body[at + byte] = static_cast<std::uint8_t>(value >> (8 * byte));
    }
  };
  put(0, report.ntp, 8);
  put(8, report.rtp_timestamp, 4);
  put(12, report.packet_count, 4);
  for (Tap* tap : track.taps) {
    if (!context_.gates.is_open(tap->gate)) {
      context_.counters.add(Counter::drop_tap_gate_closed);
      continue;
    }
    append(*tap,
           TapRecord{.kind = TapKind::kSenderReport,
                     .flags = 0,
                     .encoding_index = encoding,
                     .tap = tap->id,
                     .gate_slot = tap->gate.slot,
                     .gate_version = tap->gate.version,
                     .arrival_ns = static_cast<std::uint64_t>(now),
                     .ssrc = report.ssrc},
           body);
  }
}

void TapWriter::append(Tap& tap, const TapRecord& record, Bytes body) {
  Sink& sink = *tap.sink;
  if (sink.socket.state() == TapSink::State::kClosed) {
    ++tap.lost;
    context_.counters.add(Counter::drop_tap_full);
    return;
  }
  if (!sink.is_dirty) {
    sink.is_dirty = true;
    dirty_sinks_.push_back(&sink);
  }
  if (tap.unreported_lost != 0) {
    std::array<std::uint8_t, 8> lost{};
    for (std::size_t byte = 0; byte < lost.size(); ++byte) {
      lost[byte] = static_cast<std::uint8_t>(tap.unreported_lost >> (8 * byte));
    }
    if (!sink.socket.has_room(lost.size())) {
      flush_sink(sink);
    }
    TapRecord notice = record;
    notice.kind = TapKind::kLost;
    notice.flags = 0;
    sink.socket.append(notice, lost);
    tap.unreported_lost = 0;
  }
  if (!sink.socket.has_room(body.size())) {
    flush_sink(sink);
  }
  sink.socket.append(record, body);
}

void TapWriter::flush_sink(Sink& sink) {
  TapSink::Loss loss;
  if (sink.socket.flush(loss)) {
    return;
  }
  sink.socket.for_each_record(loss.bytes, [&](std::uint32_t tap_id, TapKind kind, std::uint64_t lost_before) {
    if (Tap* tap = registry_.tap(tap_id)) {
      // A lost LOST record hands its count back; it was counted when those records were dropped.
      const std::uint64_t records = kind == TapKind::kLost ? lost_before : 1;
      tap->unreported_lost += records;
      tap->lost += kind == TapKind::kLost ? 0 : 1;
    }
    context_.counters.add(Counter::drop_tap_full);
  });
  if (sink.socket.state() == TapSink::State::kClosed && !sink.is_reported) {
    sink.is_reported = true;
    context_.events.post(SinkClosedEvent{sink.id, sink.socket.reason()});
  }
}

void TapWriter::flush() {
  for (Sink* sink : dirty_sinks_) {
    flush_sink(*sink);
    sink->is_dirty = false;
  }
  dirty_sinks_.clear();
}

}  // namespace parley
