#include "vp8.h"

namespace parley {

PayloadInfo peek_vp8(Bytes payload, bool marker) {
  PayloadInfo info;
  Reader reader(payload);
  const std::uint8_t first = reader.u8();
  const bool is_start = (first & 0x10U) != 0 && (first & 0x07U) == 0;  // S, first partition
  if ((first & 0x80U) != 0) {                                          // X
    const std::uint8_t flags = reader.u8();
    if ((flags & 0x80U) != 0) {  // I
      const std::uint8_t high = reader.u8();
      info.picture.has_picture_id = true;
      info.picture.is_15_bit = (high & 0x80U) != 0;
      info.picture.picture_id =
          info.picture.is_15_bit ? static_cast<std::uint16_t>(((high & 0x7FU) << 8U) | reader.u8()) : high;
    }
    if ((flags & 0x40U) != 0) {  // L
      info.picture.has_tl0_pic_idx = true;
      info.picture.tl0_pic_idx = reader.u8();
    }
    if ((flags & 0x30U) != 0) {  // T or K
      const std::uint8_t layer = reader.u8();
      info.picture.has_tid_keyidx = true;
      info.picture.keyidx = layer & 0x1FU;
      if ((flags & 0x20U) != 0) {
        info.temporal = static_cast<std::uint8_t>(layer >> 6);
        info.temporal_sync = (layer & 0x20U) != 0;  // Y: depends on the base layer only
      }
    }
  }
  info.picture.prefix_size = static_cast<std::uint8_t>(reader.offset());
  if (!reader.ok() || reader.empty()) {
    return {};  // a descriptor without payload
  }
  info.valid = true;
  info.frame_start = is_start;
  info.frame_end = marker;
  // The payload header's P bit is 0 in key frames (RFC 7741 section 4.3).
  info.keyframe_start = is_start && (reader.u8() & 0x01U) == 0;
  if (info.keyframe_start) {
    // Frame tag, start code, width, height with its scale (RFC 6386 section 9.1).
    reader.skip(2 + 3 + 2);
    const std::uint8_t low = reader.u8();
    const auto height = static_cast<std::uint16_t>(low | ((reader.u8() & 0x3FU) << 8U));
    info.height = reader.ok() ? height : std::uint16_t{0};
  }
  return info;
}

}  // namespace parley
