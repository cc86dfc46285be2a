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

  switch_pictures(packet.payload.picture);
  has_source_ = true;

  const std::int64_t ext_seq = seqs_.map(packet.ext_seq).value_or(0);
  return munge(packet, ext_seq, map_picture(packet.payload.picture).value_or(0), false, now);
}

void Munger::switch_pictures(const PictureFields& picture) {
  picture_ids_.reset();
  const auto next = static_cast<std::uint16_t>(last_picture_ + 1);
  if (picture.has_picture_id && picture.keeps_holes) {
    picture_offset_ = has_pictures_ ? static_cast<std::uint16_t>(next - picture.picture_id) : std::uint16_t{0};
  } else if (picture.has_picture_id) {
    const std::int64_t number = picture_ids_.unwrap(picture.picture_id);
    pictures_.sync(number, has_pictures_ ? std::int64_t{next} : number);
  }
  if (picture.has_tl0_pic_idx) {
    tl0_offset_ = has_pictures_ ? static_cast<std::uint8_t>(last_tl0_ + 1 - picture.tl0_pic_idx) : std::uint8_t{0};
    last_tl0_ = static_cast<std::uint8_t>(picture.tl0_pic_idx + tl0_offset_);
  }
  if (picture.has_tid_keyidx) {
    keyidx_offset_ = has_pictures_ ? static_cast<std::uint8_t>(last_keyidx_ + 1 - picture.keyidx) : std::uint8_t{0};
    last_keyidx_ = static_cast<std::uint8_t>((picture.keyidx + keyidx_offset_) & 0x1FU);
  }
  if (picture.has_frame_number) {
    frame_offset_ = has_frames_ ? static_cast<std::uint16_t>(last_frame_ + 1 - picture.frame_number) : std::uint16_t{0};
  }
  has_pictures_ = has_pictures_ || picture.has_picture_id || picture.has_tl0_pic_idx;
  has_frames_ = has_frames_ || picture.has_frame_number;
}

std::optional<std::int64_t> Munger::map_picture(const PictureFields& picture) {
  if (!picture.has_picture_id) {
    return 0;
  }
  if (picture.keeps_holes) {
    return static_cast<std::uint16_t>(picture.picture_id + picture_offset_);
  }
  return pictures_.map(picture_ids_.unwrap(picture.picture_id));
}

std::optional<Munged> Munger::forward(const Packet& packet, bool set_marker, TimeNs now) {
  if (!has_source_) {
    return std::nullopt;
  }
  if (packet.is_padding_only()) {
    seqs_.drop(packet.ext_seq);
    return std::nullopt;
  }
  const auto picture = map_picture(packet.payload.picture);
  if (!picture) {
    return std::nullopt;
  }
  const auto ext_seq = seqs_.map(packet.ext_seq);
  if (!ext_seq) {
    return std::nullopt;
  }
  return munge(packet, *ext_seq, *picture, set_marker, now);
}

void Munger::drop(const Packet& packet) {
  if (!has_source_) {
    return;
  }
  seqs_.drop(packet.ext_seq);
  const PictureFields& picture = packet.payload.picture;
  if (picture.has_picture_id && !picture.keeps_holes && !packet.is_padding_only()) {
    pictures_.drop(picture_ids_.unwrap(picture.picture_id));
  }
}

Munged Munger::munge(const Packet& packet, std::int64_t ext_seq, std::int64_t picture, bool set_marker, TimeNs now) {
  const PictureFields& fields = packet.payload.picture;
  Munged munged;
  munged.ext_seq = ext_seq;
  munged.timestamp = packet.rtp.timestamp + timestamp_offset_;
  munged.marker = packet.rtp.marker || set_marker;
  munged.picture_id = static_cast<std::uint16_t>(picture & 0x7FFF);
  munged.frame_number = static_cast<std::uint16_t>(fields.frame_number + frame_offset_);
  munged.tl0_pic_idx = static_cast<std::uint8_t>(fields.tl0_pic_idx + tl0_offset_);
  munged.keyidx = static_cast<std::uint8_t>((fields.keyidx + keyidx_offset_) & 0x1FU);
  if (ext_seq + 1 == seqs_.next_out()) {
    // The newest so far: what a later switch goes on from.
    last_timestamp_ = munged.timestamp;
    last_time_ = now;
    if (fields.has_picture_id) {
      last_picture_ = munged.picture_id;
    }
    if (fields.has_frame_number) {
      last_frame_ = munged.frame_number;
    }
    if (fields.has_tl0_pic_idx) {
      last_tl0_ = munged.tl0_pic_idx;
    }
    if (fields.has_tid_keyidx) {
      last_keyidx_ = munged.keyidx;
    }
  }
  has_sent_ = true;
  return munged;
}

PayloadPatch payload_patch(const Packet& packet, std::uint16_t picture_id, std::uint8_t tl0_pic_idx,
                           std::uint8_t keyidx) {
  const PictureFields& fields = packet.payload.picture;
  const bool is_rewritable = fields.has_picture_id || fields.has_tl0_pic_idx || fields.has_tid_keyidx;
  PayloadPatch patch;
  if (fields.prefix_size == 0 || !is_rewritable || packet.rtp.payload_size < fields.prefix_size) {
    return patch;
  }
  // Rewritten in the source's order; only the picture id may grow to its 15-bit form.
  const Bytes prefix = packet.rtp.payload().first(fields.prefix_size);
  Writer out(patch.bytes);
  out.u8(prefix[0]);
  if (packet.codec == Codec::kVp8) {
    out.u8(prefix[1]);
    if (fields.has_picture_id) {
      out.u16(static_cast<std::uint16_t>(0x8000U | picture_id));
    }
    if (fields.has_tl0_pic_idx) {
      out.u8(tl0_pic_idx);
    }
    if (fields.has_tid_keyidx) {
      out.u8(static_cast<std::uint8_t>((prefix.back() & 0xE0U) | (keyidx & 0x1FU)));
    }
  } else {
    std::size_t rest = 1;
    if (fields.has_picture_id) {
      out.u16(static_cast<std::uint16_t>(0x8000U | picture_id));
      rest += fields.is_15_bit ? 2U : 1U;
    }
    if (rest < prefix.size()) {
      out.u8(prefix[rest]);  // layer indices
    }
    if (fields.has_tl0_pic_idx) {
      out.u8(tl0_pic_idx);
    }
  }
  patch.skip = fields.prefix_size;
  patch.size = static_cast<std::uint8_t>(out.size());
  return patch;
}

}  // namespace parley
