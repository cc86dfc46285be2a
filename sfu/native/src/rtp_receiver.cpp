#include "rtp_receiver.h"

#include <algorithm>
#include <array>

#include "client_mode.h"
#include "codec_peek/red.h"
#include "demux.h"
#include "rtx.h"

namespace parley {

namespace {

Track* track_of_mid(const Transport& transport, std::string_view mid) {
  for (Track* track : transport.tracks) {
    if (track->mid == mid) {
      return track;
    }
  }
  return nullptr;
}

bool has_payload_type(const Track& track, std::uint8_t pt) {
  return track.codec_of(pt) != nullptr || track.codec_of_rtx(pt) != nullptr;
}

// RFC 8843 section 9.2: without a MID, a payload type that only one m-section has.
Track* track_of_payload_type(const Transport& transport, std::uint8_t pt) {
  Track* found = nullptr;
  for (Track* track : transport.tracks) {
    if (has_payload_type(*track, pt)) {
      if (found != nullptr) {
        return nullptr;
      }
      found = track;
    }
  }
  return found;
}

Encoding* encoding_of_rid(const Track& track, std::string_view rid) {
  for (const auto& encoding : track.encodings) {
    if (encoding->rid == rid) {
      return encoding.get();
    }
  }
  return nullptr;
}

// The newest frame's payload type says Opus.
bool carries_opus(const Track& track, const Packet& packet) {
  const CodecEntry* carried = track.codec_of(packet.rtp.payload()[4U * packet.payload.copies]);
  return carried != nullptr && carried->codec == Codec::kOpus;
}

}  // namespace

void note_authentic(WorkerContext& context, Transport& transport, TimeNs now) {
  transport.last_authentic = now;
  if (!transport.is_proven) {
    transport.is_proven = true;
    context.events.post(ProvenEvent{transport.id});
  }
  if (transport.is_idle) {
    transport.is_idle = false;
    context.events.post(IdleEvent{transport.id, false});
  }
}

void count_rejected(WorkerContext& context, Transport& transport, SrtpError error) {
  ++transport.rejected;
  switch (error) {
    case SrtpError::kTooShort:
      context.counters.add(Counter::drop_srtp_too_short);
      break;
    case SrtpError::kReplayed:
      context.counters.add(Counter::drop_srtp_replayed);
      break;
    case SrtpError::kTooManySources:
      context.counters.add(Counter::drop_ssrc_limit);
      break;
    case SrtpError::kNoSession:
      context.counters.add(Counter::drop_media_before_keys);
      break;
    case SrtpError::kNone:
    case SrtpError::kRejected:
      context.counters.add(Counter::drop_srtp_rejected);
      break;
  }
}

std::optional<MutableBytes> RtpReceiver::decrypt(Transport& transport, MutableBytes datagram, TimeNs now) {
  std::size_t size = datagram.size();
  const SrtpError error = transport.srtp.unprotect_rtp(datagram.data(), size);
  if (error != SrtpError::kNone) {
    count_rejected(context_, transport, error);
    return std::nullopt;
  }
  note_authentic(context_, transport, now);
  return datagram.first(size);
}

void RtpReceiver::receive(Transport& transport, MutableBytes datagram, TimeNs now) {
  context_.counters.add(Counter::rtp_received);
  ++transport.packets_received;
  transport.bytes_received += datagram.size();
  if (transport.client != nullptr) {
    receive_as_client(transport, datagram, now);
    return;
  }
  const std::uint32_t ssrc = load_u32(datagram, 8);
  const auto packet = has_room(transport, ssrc) ? decrypt(transport, datagram, now) : std::nullopt;
  if (packet) {
    take(transport, ssrc, *packet, now);
  }
}

void RtpReceiver::receive_as_client(Transport& transport, MutableBytes datagram, TimeNs now) {
  if (transport.client->loses_next(context_)) {
    return;
  }
  if (transport.receive_ids.has(Extension::kTwcc)) {
    if (const auto twcc_seq = twcc_seq_in_the_clear(datagram, transport.receive_ids)) {
      feedback_.note_arrival(transport, *twcc_seq, load_u32(datagram, 8), now);
    }
  }
  transport.client->receive_rtp(transport, datagram, now, context_);
}

void RtpReceiver::receive_plain(Transport& transport, MutableBytes packet, TimeNs now) {
  if (packet.size() < 12 || classify(packet) != DatagramKind::kRtp) {
    context_.counters.add(Counter::drop_rtp_malformed);
    return;
  }
  context_.counters.add(Counter::rtp_received);
  ++transport.packets_received;
  transport.bytes_received += packet.size();
  const std::uint32_t ssrc = load_u32(packet, 8);
  if (has_room(transport, ssrc)) {
    note_authentic(context_, transport, now);
    take(transport, ssrc, packet, now);
  }
}

bool RtpReceiver::has_room(Transport& transport, std::uint32_t ssrc) {
  if (transport.ssrcs.find(ssrc) == nullptr && transport.ssrcs.is_full()) {
    context_.counters.add(Counter::drop_ssrc_limit);
    return false;
  }
  return true;
}

void RtpReceiver::take(Transport& transport, std::uint32_t ssrc, MutableBytes packet, TimeNs now) {
  SsrcEntry& entry = *transport.ssrcs.claim(ssrc);
  auto rtp = parse_rtp(packet);
  if (!rtp) {
    context_.counters.add(Counter::drop_rtp_malformed);
    return;
  }
  ExtensionTable extensions = read_extensions(*rtp, transport.receive_ids);
  if (const auto twcc_seq = read_twcc_seq(*rtp, extensions)) {
    feedback_.note_arrival(transport, *twcc_seq, ssrc, now);
  }
  const Source source = find_source(transport, entry, *rtp, extensions);
  if (source.encoding == nullptr) {
    context_.counters.add(Counter::drop_rtp_unmapped);
    return;
  }
  if (!source.track->enabled) {
    context_.counters.add(Counter::drop_track_disabled);
    return;
  }
  if (!source.is_rtx) {
    receive_media(source, *rtp, extensions, false, now);
    return;
  }
  context_.counters.add(Counter::rtx_received);
  const CodecEntry* codec = source.track->codec_of_rtx(rtp->pt);
  if (codec == nullptr || source.encoding->ssrc == 0) {
    context_.counters.add(Counter::drop_rtp_unknown_pt);
    return;
  }
  if (rtp->payload_size == 0) {
    context_.counters.add(Counter::drop_rtx_empty);  // padding sent to probe the path
    return;
  }
  const auto original = decapsulate_rtx(packet, *rtp, codec->pt, source.encoding->ssrc);
  if (!original) {
    context_.counters.add(Counter::drop_rtx_malformed);
    return;
  }
  rtp = parse_rtp(*original);
  if (!rtp) {
    context_.counters.add(Counter::drop_rtx_malformed);
    return;
  }
  extensions = read_extensions(*rtp, transport.receive_ids);
  receive_media(source, *rtp, extensions, true, now);
}

RtpReceiver::Source RtpReceiver::find_source(Transport& transport, SsrcEntry& entry, const RtpView& rtp,
                                             const ExtensionTable& extensions) {
  if (entry.track == nullptr) {
    return latch(transport, entry, rtp, extensions);
  }
  Encoding* encoding = entry.track->encodings[entry.encoding].get();
  return Source{entry.track, encoding, entry.role == SsrcEntry::Role::kRtx};
}

RtpReceiver::Source RtpReceiver::latch(Transport& transport, SsrcEntry& entry, const RtpView& rtp,
                                       const ExtensionTable& extensions) {
  const bool has_mid = extensions.has(Extension::kMid);
  Track* track = has_mid ? track_of_mid(transport, as_text(extensions.get(rtp, Extension::kMid)))
                         : track_of_payload_type(transport, rtp.pt);
  if (track == nullptr || !has_payload_type(*track, rtp.pt)) {
    return {};
  }
  const bool is_rtx = track->codec_of(rtp.pt) == nullptr;
  Encoding* encoding = nullptr;
  const Extension rid_extension = is_rtx ? Extension::kRrid : Extension::kRid;
  if (extensions.has(rid_extension)) {
    encoding = encoding_of_rid(*track, as_text(extensions.get(rtp, rid_extension)));
  } else if (!track->is_simulcast()) {
    encoding = track->encodings[0].get();
  }
  if (encoding == nullptr) {
    return {};
  }
  std::uint32_t& ssrc = is_rtx ? encoding->rtx_ssrc : encoding->ssrc;
  if (ssrc != 0 && ssrc != entry.ssrc) {
    // A new SSRC for an encoding that had one (the publisher resolved a collision, or began anew) needs the MID to say
    // so: payload types alone are too weak to take a source over.
    if (!has_mid) {
      return {};
    }
    transport.ssrcs.demote(track, encoding->index, is_rtx ? SsrcEntry::Role::kRtx : SsrcEntry::Role::kMedia);
    if (!is_rtx) {
      track->restart(*encoding);
    }
  }
  ssrc = entry.ssrc;
  entry.track = track;
  entry.encoding = encoding->index;
  entry.role = is_rtx ? SsrcEntry::Role::kRtx : SsrcEntry::Role::kMedia;
  return Source{track, encoding, is_rtx};
}

void RtpReceiver::receive_media(const Source& source, const RtpView& rtp, const ExtensionTable& extensions,
                                bool repaired, TimeNs now) {
  const Track& track = *source.track;
  Encoding& encoding = *source.encoding;
  const CodecEntry* codec = track.codec_of(rtp.pt);
  if (codec == nullptr) {
    context_.counters.add(Counter::drop_rtp_unknown_pt);
    return;
  }
  Packet packet{.rtp = rtp,
                .extensions = extensions,
                .payload = {},
                .ext_seq = repaired ? encoding.seqs.peek(rtp.seq) : encoding.seqs.unwrap(rtp.seq),
                .arrival = now,
                .codec = codec->codec,
                .encoding = encoding.index,
                .repaired = repaired};
  packet.payload =
      track.e2ee ? encoding.peek.peek_encrypted(rtp, extensions) : encoding.peek.peek(codec->codec, rtp, extensions);
  const bool is_red = codec->codec == Codec::kRed;
  if (!packet.payload.valid || (packet.has_copies() && !carries_opus(track, packet))) {
    context_.counters.add(is_red ? Counter::drop_red_malformed : Counter::drop_rtp_malformed);
    return;
  }
  if (packet.payload.copies != 0 && !encoding.store.is_empty() && packet.ext_seq > encoding.store.highest() + 1) {
    recover(source, packet, now);
  }
  accept(source, *codec, packet, now);
}

// Fills the hole before a RED packet from its copies, so that whoever gets no RED has them, too.
void RtpReceiver::recover(const Source& source, const Packet& packet, TimeNs now) {
  const auto red = parse_red(packet.rtp.payload());
  if (!red) {
    return;
  }
  const CodecEntry* opus = source.track->codec_of(red->primary_pt);
  for (std::uint8_t index = 0; index < red->copy_count; ++index) {
    // The copies are of the packets just before, one each, as browsers send them.
    const RedBlock& copy = red->copies[index];
    const std::int64_t ext_seq = packet.ext_seq - (red->copy_count - index);
    if (copy.data.empty() || copy.pt != red->primary_pt || ext_seq <= source.encoding->store.highest()) {
      continue;
    }
    std::array<std::uint8_t, kMaxPacketSize> bytes;
    Writer writer(bytes);
    writer.u8(0x80);
    writer.u8(copy.pt);
    writer.u16(static_cast<std::uint16_t>(ext_seq));
    writer.u32(packet.rtp.timestamp - copy.timestamp_offset);
    writer.u32(packet.rtp.ssrc);
    writer.bytes(copy.data);
    const auto rtp = writer.ok() ? parse_rtp(Bytes(bytes).first(writer.size())) : std::nullopt;
    if (rtp) {
      const Packet lost{.rtp = *rtp,
                        .extensions = {},
                        .payload = source.encoding->peek.peek(Codec::kOpus, *rtp, {}),
                        .ext_seq = ext_seq,
                        .arrival = now,
                        .codec = Codec::kOpus,
                        .encoding = packet.encoding,
                        .repaired = true};
      context_.counters.add(Counter::red_recovered);
      accept(source, *opus, lost, now);
    }
  }
}

void RtpReceiver::accept(const Source& source, const CodecEntry& codec, const Packet& packet, TimeNs now) {
  Track& track = *source.track;
  Encoding& encoding = *source.encoding;
  const RtpView& rtp = packet.rtp;
  switch (encoding.store.put(packet)) {
    case PutResult::kStored:
      break;
    case PutResult::kDuplicate:
      context_.counters.add(Counter::drop_rtp_duplicate);
      return;
    case PutResult::kTooOld:
      context_.counters.add(Counter::drop_rtp_too_old);
      return;
    case PutResult::kTooLarge:
      context_.counters.add(Counter::drop_rtp_too_long);
      return;
  }
  const bool codec_changed = notice_codec(encoding, rtp, codec);
  encoding.stats.receive(packet.ext_seq, rtp.timestamp, rtp.packet.size(), packet.repaired, now);
  if (packet.repaired) {
    ++encoding.recovered;
  } else {
    encoding.note_marker(rtp.marker);
  }
  if (!track_sequence(encoding, packet.ext_seq, now)) {
    keyframes_.request(encoding, now);
  }
  if (packet.payload.keyframe_start) {
    notice_keyframe(encoding, now);
  }
  if (const auto level = read_audio_level(rtp, packet.extensions)) {
    track.levels.receive(*level);
  }
  track.receive(encoding, packet, now);
  links_.share(track, packet, codec_changed);
  fanout_.hear(track, packet, now);
  fanout_.add(track, Track::Pending{packet.ext_seq, encoding.index, codec_changed}, now);
}

// False when a hole is too large to repair: only a keyframe helps.
bool RtpReceiver::track_sequence(Encoding& encoding, std::int64_t ext_seq, TimeNs now) {
  if (!encoding.track.nack) {
    return true;
  }
  const NackOutcome outcome = encoding.nack.receive(ext_seq, now);
  if (outcome == NackOutcome::kGap) {
    feedback_.watch(encoding);
  }
  return outcome != NackOutcome::kReset;
}

bool RtpReceiver::notice_codec(Encoding& encoding, const RtpView& rtp, const CodecEntry& codec) {
  const Codec carried = codec.codec == Codec::kRed ? Codec::kOpus : codec.codec;
  if (encoding.codec == carried) {
    return false;
  }
  const bool is_change = encoding.has_sent;
  encoding.has_sent = true;
  encoding.codec = carried;
  encoding.clock_hz = codec.clock_hz;
  encoding.stats.set_clock(codec.clock_hz);
  context_.events.post(EncodingEvent{encoding.track.id, encoding.index, rtp.ssrc, encoding.rid, codec_name(carried)});
  return is_change;
}

void RtpReceiver::notice_keyframe(Encoding& encoding, TimeNs now) {
  encoding.keyframes.receive_keyframe(now);
  if (!encoding.track.is_video) {
    return;
  }
  ++encoding.keyframes_received;
  if (encoding.last_keyframe_event == 0 || now - encoding.last_keyframe_event >= kSecond) {
    encoding.last_keyframe_event = now;
    context_.events.post(KeyframeEvent{encoding.track.id, encoding.index});
  }
}

}  // namespace parley
