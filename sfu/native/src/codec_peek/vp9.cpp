#include "vp9.h"

namespace parley {

namespace {

// Skips the scalability structure; the height of the highest layer that it tells. Source: RFC 9628 section 4.2.1.
std::uint16_t skip_structure(Reader& reader) {
  std::uint16_t height = 0;
  const std::uint8_t head = reader.u8();
  const unsigned spatial_layers = (head >> 5) + 1U;
  if ((head & 0x10U) != 0) {  // Y: a resolution per layer
    reader.skip(spatial_layers * 4U - 2U);
    height = reader.u16();
  }
  if ((head & 0x08U) == 0) {  // G: picture group description
    return height;
  }
  const unsigned pictures = reader.u8();
  for (unsigned i = 0; i < pictures && reader.ok(); ++i) {
    const std::uint8_t picture = reader.u8();
    reader.skip((picture >> 2) & 3U);  // R reference differences
  }
  return height;
}

}  // namespace

PayloadInfo peek_vp9(Bytes payload, bool marker) {
  PayloadInfo info;
  Reader reader(payload);
  const std::uint8_t flags = reader.u8();
  const bool is_inter_predicted = (flags & 0x40U) != 0;  // P
  const bool is_flexible = (flags & 0x10U) != 0;         // F
  if ((flags & 0x80U) != 0) {                            // I
    const std::uint8_t high = reader.u8();
    info.picture.has_picture_id = true;
    info.picture.is_15_bit = (high & 0x80U) != 0;  // M
    info.picture.picture_id =
        info.picture.is_15_bit ? static_cast<std::uint16_t>(((high & 0x7FU) << 8U) | reader.u8()) : high;
  }
  if ((flags & 0x20U) != 0) {  // L
    const std::uint8_t layer = reader.u8();
    info.temporal = static_cast<std::uint8_t>(layer >> 5);
    info.spatial = (layer >> 1) & 7U;
    info.switch_up = (layer & 0x10U) != 0;  // U
    info.temporal_sync = info.switch_up;
    if (!is_flexible) {
      info.picture.has_tl0_pic_idx = true;
      info.picture.tl0_pic_idx = reader.u8();
    }
  }
  info.picture.prefix_size = static_cast<std::uint8_t>(reader.offset());
  info.picture.keeps_holes = true;
  if (is_flexible && is_inter_predicted) {
    // Up to three reference differences, each with a bit that says whether another follows.
    for (int i = 0; (reader.u8() & 0x01U) != 0; ++i) {
      if (i == 2) {
        return {};
      }
    }
  }
  if ((flags & 0x02U) != 0) {  // V
    info.height = skip_structure(reader);
  }
  if (!reader.ok() || reader.empty()) {
    return {};
  }
  info.valid = true;
  info.frame_start = (flags & 0x08U) != 0;          // B
  info.frame_end = (flags & 0x04U) != 0 || marker;  // E
  info.spatial_sync = info.frame_start && !is_inter_predicted;
  info.keyframe_start = info.spatial_sync && info.spatial == 0;
  return info;
}

}  // namespace parley
