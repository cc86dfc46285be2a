#include "munger.h"

#include <algorithm>

#include "receive_stats.h"

namespace parley {

namespace {

// How far an aligned timestamp may lie beyond the time that really passed; more is a broken sender report.
constexpr TimeNs kAlignmentTolerance = 1 * kSecond;

}  // namespace

Munger::Munger(std::uint16_t first_seq, std::uint32_t first_timestamp) : last_timestamp_(first_timestamp) {
  seqs_.sync(0, first_seq);
}

Munged Munger::switch_source(const Packet& packet, std::optional<std::uint32_t> aligned_timestamp,
                             std::uint32_t clock_hz, TimeNs now) {
  std::uint32_t timestamp = last_timestamp_;
  if (has_sent_) {
    const TimeNs elapsed = std::max<TimeNs>(now - last_time_, 0);
    timestamp += std::max<std::uint32_t>(to_ticks(elapsed, clock_hz), 1);
    if (aligned_timestamp) {
      const std::uint32_t aligned = *aligned_timestamp + timestamp_offset_;
      const std::uint32_t ahead = aligned - last_timestamp_;
      if (ahead != 0 && ahead <= to_ticks(elapsed + kAlignmentTolerance, clock_hz)) {
        timestamp = aligned;
      } else if (wrap_diff(aligned, last_timestamp_) <= 0 &&
                 last_timestamp_ - aligned <= to_ticks(kAlignmentTolerance, clock_hz)) {
        // The new source's frame was captured before the last one that went out: time must not run back.
        timestamp = last_timestamp_ + 1;
      }
    }
  }
  timestamp_offset_ = timestamp - packet.rtp.timestamp;
  seqs_.sync(packet.ext_seq, seqs_.next_out());

  const Vp8Fields& vp8 = packet.payload.vp8;
  picture_ids_.reset();
  if (vp8.has_picture_id) {
    const std::int64_t picture = picture_ids_.unwrap(vp8.picture_id);
    pictures_.sync(picture, has_pictures_ ? pictures_.next_out() : picture);
  }
  if (vp8.has_tl0_pic_idx) {
    tl0_offset_ = has_pictures_ ? static_cast<std::uint8_t>(last_tl0_ + 1 - vp8.tl0_pic_idx) : std::uint8_t{0};
    last_tl0_ = static_cast<std::uint8_t>(vp8.tl0_pic_idx + tl0_offset_);
  }
  if (vp8.has_tid_keyidx) {
    keyidx_offset_ = has_pictures_ ? static_cast<std::uint8_t>(last_keyidx_ + 1 - vp8.keyidx) : std::uint8_t{0};
    last_keyidx_ = static_cast<std::uint8_t>((vp8.keyidx + keyidx_offset_) & 0x1FU);
  }
  has_pictures_ = has_pictures_ || vp8.has_picture_id || vp8.has_tl0_pic_idx;
  has_source_ = true;

  const std::int64_t ext_seq = seqs_.map(packet.ext_seq).value_or(0);
  const std::int64_t picture = vp8.has_picture_id ? pictures_.map(picture_ids_.highest()).value_or(0) : 0;
  return munge(packet, ext_seq, picture, false, now);
}

std::optional<Munged> Munger::forward(const Packet& packet, bool set_marker, TimeNs now) {
  if (!has_source_) {
    return std::nullopt;
  }
  if (packet.is_padding_only()) {
    seqs_.drop(packet.ext_seq);
    return std::nullopt;
  }
  std::int64_t picture = 0;
  if (packet.payload.vp8.has_picture_id) {
    const auto mapped = pictures_.map(picture_ids_.unwrap(packet.payload.vp8.picture_id));
    if (!mapped) {
      return std::nullopt;
    }
    picture = *mapped;
  }
  const auto ext_seq = seqs_.map(packet.ext_seq);
  if (!ext_seq) {
    return std::nullopt;
  }
  return munge(packet, *ext_seq, picture, set_marker, now);
}

void Munger::drop(const Packet& packet) {
  if (!has_source_) {
    return;
  }
  seqs_.drop(packet.ext_seq);
  if (packet.payload.vp8.has_picture_id && !packet.is_padding_only()) {
    pictures_.drop(picture_ids_.unwrap(packet.payload.vp8.picture_id));
  }
}

Munged Munger::munge(const Packet& packet, std::int64_t ext_seq, std::int64_t picture, bool set_marker, TimeNs now) {
  const Vp8Fields& vp8 = packet.payload.vp8;
  Munged munged;
  munged.ext_seq = ext_seq;
  munged.timestamp = packet.rtp.timestamp + timestamp_offset_;
  munged.marker = packet.rtp.marker || set_marker;
  munged.picture_id = static_cast<std::uint16_t>(picture & 0x7FFF);
  munged.tl0_pic_idx = static_cast<std::uint8_t>(vp8.tl0_pic_idx + tl0_offset_);
  munged.keyidx = static_cast<std::uint8_t>((vp8.keyidx + keyidx_offset_) & 0x1FU);
  if (ext_seq + 1 == seqs_.next_out()) {
    // The newest so far: what a later switch goes on from.
    last_timestamp_ = munged.timestamp;
    last_time_ = now;
    if (vp8.has_tl0_pic_idx) {
      last_tl0_ = munged.tl0_pic_idx;
    }
    if (vp8.has_tid_keyidx) {
      last_keyidx_ = munged.keyidx;
    }
  }
  has_sent_ = true;
  return munged;
}

PayloadPatch vp8_patch(const Packet& packet, std::uint16_t picture_id, std::uint8_t tl0_pic_idx,
                       std::uint8_t keyidx) {
  const Vp8Fields& vp8 = packet.payload.vp8;
  PayloadPatch patch;
  if (packet.codec != Codec::kVp8 || vp8.descriptor_size == 0 || packet.rtp.payload_size < vp8.descriptor_size ||
      (!vp8.has_picture_id && !vp8.has_tl0_pic_idx && !vp8.has_tid_keyidx)) {
    return patch;
  }
  // Rewritten in the source's order; only the picture id may grow to its 15-bit form (RFC 7741 section 4.2).
  const Bytes descriptor = packet.rtp.payload().first(vp8.descriptor_size);
  Writer out(patch.bytes);
  out.u8(descriptor[0]);
  out.u8(descriptor[1]);
  if (vp8.has_picture_id) {
    out.u16(static_cast<std::uint16_t>(0x8000U | picture_id));
  }
  if (vp8.has_tl0_pic_idx) {
    out.u8(tl0_pic_idx);
  }
  if (vp8.has_tid_keyidx) {
    out.u8(static_cast<std::uint8_t>((descriptor.back() & 0xE0U) | (keyidx & 0x1FU)));
  }
  patch.skip = vp8.descriptor_size;
  patch.size = static_cast<std::uint8_t>(out.size());
  return patch;
}

}  // namespace parley
