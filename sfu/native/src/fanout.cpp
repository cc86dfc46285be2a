#include "fanout.h"

#include <algorithm>

#include "codec_peek/red.h"
#include "keyframe_requests.h"
#include "welcome.h"

namespace parley {

Fanout::Fanout(WorkerContext& context, KeyframeRequests& keyframes, Departures& departures, TapWriter& taps)
    : context_(context),
      keyframes_(keyframes),
      departures_(departures),
      taps_(taps),
      gathered_(kGather),
      window_(context.config.coalesce) {}

void Fanout::hear(Track& track, const Packet& packet, TimeNs now) {
  // What is recovered has no level of its own.
  if (track.voice.stage == nullptr || packet.repaired) {
    return;
  }
  if (!track.voice.stage->receive(track.voice, read_audio_level(packet.rtp, packet.extensions), now)) {
    return;
  }
  const PacketStore& store = track.encodings[packet.encoding]->store;
  const std::int64_t first = std::max(packet.ext_seq - kLeadIn, track.voice.heard_until + 1);
  for (std::int64_t ext_seq = first; ext_seq < packet.ext_seq; ++ext_seq) {
    const Packet* earlier = store.get(ext_seq, now);
    const bool waits = std::ranges::any_of(
        track.pending, [ext_seq](const Track::Pending& pending) { return pending.ext_seq == ext_seq; });
    if (earlier != nullptr && !waits && now - earlier->arrival <= kLeadInAge) {
      add(track, Track::Pending{ext_seq, packet.encoding, false, true}, now);
    }
  }
}

void Fanout::add(Track& track, const Track::Pending& packet, TimeNs now, TimeNs waited) {
  if (track.forwards.empty() && track.taps.empty()) {
    return;
  }
  if (track.voice.is_heard) {
    track.voice.heard_until = std::max(track.voice.heard_until, packet.ext_seq);
  } else if (track.outside_forwards == 0 && track.taps.empty()) {
    context_.counters.add(Counter::drop_not_loudest, track.forwards.size());
    return;
  }
  const bool is_first = track.pending.empty();
  if (is_first) {
    dirty_tracks_.push_back(&track);
  }
  track.pending.push_back(packet);
  window_.receive(track.is_video, is_first, now, waited);
  // With this packet: in the store and in no batch, it would be caught up with, and go out again with the next.
  if (track.pending.size() == Track::kMaxPending) {
    flush(now);
  }
}

bool Fanout::is_mid_frame() const {
  return std::ranges::any_of(dirty_tracks_, [](const Track* track) {
    return track->is_video && std::ranges::any_of(track->pending, [track](const Track::Pending& pending) {
             return track->encodings[pending.encoding]->is_mid_frame();
           });
  });
}

void Fanout::flush(TimeNs now) {
  if (!dirty_tracks_.empty()) {
    context_.counters.add(Counter::flushes);
    for (Track* track : dirty_tracks_) {
      if (gathered_count_ + track->pending.size() > gathered_.size()) {
        fan_out(now);
      }
      gather(*track, now);
    }
    fan_out(now);
    dirty_tracks_.clear();
    window_.flushed(now);
  }
  context_.arena.flush();
  taps_.flush();
}

void Fanout::gather(Track& track, TimeNs now) {
  track.gathered_first = static_cast<std::uint32_t>(gathered_count_);
  for (const Track::Pending& pending : track.pending) {
    const Packet* packet = track.encodings[pending.encoding]->store.get(pending.ext_seq, now);
    if (packet == nullptr) {
      context_.counters.add(Counter::drop_pending_full);
      continue;
    }
    Gathered& gathered = gathered_[gathered_count_++];
    gathered.packet = packet;
    gathered.codec_changed = pending.codec_changed;
    gathered.is_lead_in = pending.is_lead_in;
    gathered.planner.start(*packet);
  }
  track.pending.clear();
  track.gathered_count = static_cast<std::uint32_t>(gathered_count_) - track.gathered_first;
  gathered_tracks_.push_back(&track);
}

bool Fanout::is_served(const Track& track, const Forward& forward) {
  if (track.voice.is_heard || forward.is_outside()) {
    return true;
  }
  context_.counters.add(Counter::drop_not_loudest, track.gathered_count);
  return false;
}

void Fanout::fan_out(TimeNs now) {
  // Of one track, as sound that comes alone, each subscriber has one forward at most: they are served as they stand.
  const bool is_single = gathered_tracks_.size() == 1;
  for (const Track* track : gathered_tracks_) {
    const Range range{track->gathered_first, track->gathered_count};
    for (Forward* forward : track->forwards) {
      if (!is_served(*track, *forward)) {
        continue;
      }
      if (is_single) {
        serve(*forward, range, now);
        continue;
      }
      Transport& subscriber = forward->transport;
      if (subscriber.pending_forwards.empty()) {
        dirty_transports_.push_back(&subscriber);
      }
      subscriber.pending_forwards.push_back(forward);
    }
    for (Tap* tap : track->taps) {
      taps_.serve(*tap, std::span(gathered_).subspan(range.first, range.count));
    }
  }
  for (Transport* subscriber : dirty_transports_) {
    // Video first: its long packets form trains across tracks, and a short audio packet may still end one.
    for (const bool is_video : {true, false}) {
      for (Forward* forward : subscriber->pending_forwards) {
        if (forward->is_video == is_video) {
          serve(*forward, Range{forward->track->gathered_first, forward->track->gathered_count}, now);
        }
      }
    }
    subscriber->pending_forwards.clear();
  }
  dirty_transports_.clear();
  gathered_tracks_.clear();
  gathered_count_ = 0;
}

void Fanout::serve(Forward& forward, Range range, TimeNs now) {
  if (!forward.transport.can_send()) {
    context_.counters.add(Counter::drop_not_writable, range.count);
    return;
  }
  if (!passes_gate(forward, context_.gates.opened_at(forward.gate))) {
    forward.dropped_by_gate += range.count;
    context_.counters.add(Counter::drop_gate_closed, range.count);
    return;
  }
  if (forward.turn != forward.track->voice.turn && !forward.is_outside()) {
    // It goes on behind what it sent before, without a hole.
    forward.turn = forward.track->voice.turn;
    forward.layers.reset_source();
  }
  const auto packets = std::span(gathered_).subspan(range.first, range.count);
  for (std::size_t index = 0; index < packets.size(); ++index) {
    if (packets[index].is_lead_in && forward.is_outside()) {
      continue;  // had them when they came
    }
    if (!forward.admits(packets[index].packet->arrival)) {
      ++forward.dropped_by_gate;
      context_.counters.add(Counter::drop_gate_closed);
      continue;
    }
    const int before = forward.layers.current();
    serve_packet(forward, packets[index], now);
    if (forward.layers.current() != before && forward.is_video) {
      catch_up(forward, *packets[index].packet, packets.subspan(index + 1), now);
    }
  }
  ask_keyframe(forward, now);
}

bool Fanout::passes_gate(Forward& forward, TimeNs since) {
  if (!context_.gates.is_open(forward.gate)) {
    if (forward.open_since != kNever) {
      forward.begin_gate();
    }
    return false;
  }
  if (forward.open_since == kNever) {
    forward.open_since = since;
  }
  return true;
}

void Fanout::ask_keyframe(const Forward& forward, TimeNs now) {
  const auto awaited = forward.layers.awaited();
  if (awaited && *awaited < forward.track->encodings.size()) {
    keyframes_.request(*forward.track->encodings[*awaited], now);
  }
}

void Fanout::welcome(Forward& forward, TimeNs now) {
  if (forward.track == nullptr || !passes_gate(forward, now)) {
    return;
  }
  const bool can_send = forward.transport.can_send();
  if (can_send) {
    flush(now);  // what waits for the batch is in the store, too, and must not go out twice
  }
  const Track& track = *forward.track;
  const bool is_heard = track.voice.is_heard || forward.is_outside();
  const bool is_beginning = forward.packets == 0 && !forward.layers.is_paused() && track.enabled && is_heard;
  const auto found = is_beginning ? find_welcome(forward, now) : std::nullopt;
  // Who joins may not have the keys of what was encrypted end to end before.
  if (!found || track.e2ee || (!can_send && !found->keeps(now))) {
    ask_keyframe(forward, now);
  }
  if (!found || !can_send) {
    return;
  }
  forward.turn = track.voice.turn;
  if (forward.is_video) {
    departures_.spread(forward.transport, now);
  }
  for (std::int64_t ext_seq = found->first; ext_seq <= found->last; ++ext_seq) {
    serve_stored(forward, *found->encoding->store.get(ext_seq, now), now);
  }
  if (forward.packets != 0) {
    context_.counters.add(Counter::forwards_welcomed);
  }
}

void Fanout::serve_packet(Forward& forward, Gathered& gathered, TimeNs now) {
  const Packet& packet = *gathered.packet;
  const Codec needed = packet.has_copies() ? Codec::kOpus : packet.codec;
  if (forward.payload_type(needed).pt < 0) {
    refuse_codec(forward, needed);
    context_.counters.add(Counter::drop_codec_unsupported);
    return;
  }
  if (gathered.codec_changed && forward.layers.current() == packet.encoding) {
    forward.layers.reset_source();
  }
  const GateDecision decision = forward.layers.decide(packet);
  switch (decision.verdict) {
    case GateVerdict::kForward:
      if (const auto munged = forward.munger.forward(packet, decision.set_marker, now)) {
        send(forward, gathered, *munged, now);
      }
      break;
    case GateVerdict::kSwitch:
      switch_source(forward, gathered, decision.set_marker, now);
      break;
    case GateVerdict::kDrop:
      forward.munger.drop(packet);
      context_.counters.add(Counter::drop_layer);
      break;
    case GateVerdict::kIgnore:
      context_.counters.add(forward.layers.is_paused() ? Counter::drop_forward_paused : Counter::drop_layer);
      break;
  }
}

void Fanout::switch_source(Forward& forward, Gathered& gathered, bool set_marker, TimeNs now) {
  const Packet& packet = *gathered.packet;
  Track& track = *forward.track;
  const Encoding& encoding = *track.encodings[packet.encoding];
  std::optional<std::uint32_t> aligned;
  if (forward.source_track == &track && forward.source_encoding >= 0) {
    aligned = track.clocks.align(packet.encoding, static_cast<std::size_t>(forward.source_encoding),
                                 packet.rtp.timestamp, encoding.clock_hz);
  }
  Munged munged = forward.munger.switch_source(packet, aligned, encoding.clock_hz, now);
  munged.marker = munged.marker || set_marker;
  forward.source_track = &track;
  forward.source_encoding = packet.encoding;
  forward.source_start = packet.ext_seq;
  forward.clock_hz = encoding.clock_hz;
  forward.refused_codec = Codec::kUnknown;
  forward.next_report = 0;  // the new clock is told at once
  if (packet.payload.is_opaque) {
    keyframes_.request(*track.encodings[packet.encoding], now);  // the decoder needs one to begin with
  }
  send(forward, gathered, munged, now);
}

// A keyframe whose first packet came late (by RTX, or overtaken) was ignored until now: what of it is already here goes
// out behind its first packet, but for what this batch is still to serve.
void Fanout::catch_up(Forward& forward, const Packet& first, std::span<const Gathered> still_to_come, TimeNs now) {
  const Encoding& encoding = *forward.track->encodings[first.encoding];
  const std::int64_t end = std::min(encoding.store.highest(), first.ext_seq + kCatchUp);
  for (std::int64_t ext_seq = first.ext_seq + 1; ext_seq <= end; ++ext_seq) {
    const Packet* packet = encoding.store.get(ext_seq, now);
    const bool is_to_come =
        std::ranges::any_of(still_to_come, [packet](const Gathered& gathered) { return gathered.packet == packet; });
    if (packet == nullptr || is_to_come || !forward.admits(packet->arrival)) {
      continue;
    }
    serve_stored(forward, *packet, now);
  }
}

void Fanout::serve_stored(Forward& forward, const Packet& packet, TimeNs now) {
  stored_.packet = &packet;
  stored_.codec_changed = false;
  stored_.is_lead_in = false;
  stored_.planner.start(packet);
  serve_packet(forward, stored_, now);
}

bool Fanout::send(Forward& forward, Gathered& gathered, const Munged& munged, TimeNs now) {
  const Packet& packet = *gathered.packet;
  const Transport& subscriber = forward.transport;
  const Codec codec = forward.outgoing(packet);
  const Forward::PayloadType payload_type = forward.payload_type(codec);
  const RtpRewrite rewrite{
      .ssrc = forward.ssrc,
      .timestamp = munged.timestamp,
      .original_seq = -1,
      .seq = munged.seq(),
      .pt = static_cast<std::uint8_t>(payload_type.pt),
      .marker = munged.marker,
      .frame_number = packet.payload.picture.has_frame_number ? std::int32_t{munged.frame_number} : -1};
  PayloadPatch patch = payload_patch(packet, munged.picture_id, munged.tl0_pic_idx, munged.keyidx);
  if (codec != packet.codec) {
    patch.skip = packet.payload.primary_offset;
  }
  const ExtensionPlan& plan = gathered.planner.plan(subscriber.send_ids);
  const MutableBytes out = context_.arena.claim();
  const std::size_t size =
      write_rtp(packet, forward.header, plan, rewrite, patch, out.first(out.size() - kMaxSrtpTrailer));
  if (size == 0) {
    context_.counters.add(Counter::drop_rtp_too_long);
    return false;
  }
  if (packet.has_copies() && codec == packet.codec) {
    set_red_types(out.first(size).last(packet.rtp.payload_size),
                  static_cast<std::uint8_t>(forward.payload_type(Codec::kOpus).pt));
  }
  if (!departures_.send(forward, out, size, stamp_offsets(forward.header, plan), now)) {
    return false;
  }
  context_.counters.add(Counter::rtp_forwarded);
  forward.last_rtx_pt = payload_type.rtx_pt;
  ++forward.packets;
  forward.bytes += static_cast<std::uint32_t>(packet.rtp.payload_size - patch.skip + patch.size);
  if (payload_type.rtx_pt >= 0 && forward.rtx_ssrc != 0) {
    forward.sequencer.record(SentPacket{.source = forward.track->encodings[packet.encoding]->key,
                                        .source_seq = static_cast<std::uint32_t>(packet.ext_seq),
                                        .timestamp = munged.timestamp,
                                        .seq = munged.seq(),
                                        .size = static_cast<std::uint16_t>(size),
                                        .frame_number = munged.frame_number,
                                        .picture_id = munged.picture_id,
                                        .tl0_pic_idx = munged.tl0_pic_idx,
                                        .keyidx = munged.keyidx,
                                        .marker = munged.marker},
                             now);
  }
  return true;
}

void Fanout::refuse_codec(Forward& forward, Codec codec) {
  if (forward.refused_codec != codec) {
    forward.refused_codec = codec;
    context_.events.post(CodecUnsupportedEvent{forward.id, codec_name(codec)});
  }
}

void Fanout::forget(const Track& track) {
  std::erase(dirty_tracks_, &track);
  if (dirty_tracks_.empty()) {
    window_.cancel();
  }
}

}  // namespace parley
