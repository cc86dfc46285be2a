// What the core reads of a codec's payload: frames, layers, keyframes. Never the picture itself.
// Thread: any, one object at a time.
#pragma once

#include <cstdint>

namespace parley {

// The numbers that must go on when a forward changes its source: in the payload descriptor of VP8 (RFC 7741 section
// 4.2) and VP9 (RFC 9628 section 4.2), and in the dependency descriptor, which a packet of any codec may carry.
struct PictureFields {
  std::uint8_t prefix_size = 0;  // bytes of the payload that hold them, 0: none do
  bool has_picture_id = false;
  bool is_15_bit = false;
  bool has_tl0_pic_idx = false;
  bool has_tid_keyidx = false;    // VP8
  bool has_frame_number = false;  // in the dependency descriptor
  std::uint16_t picture_id = 0;
  std::uint16_t frame_number = 0;
  std::uint8_t tl0_pic_idx = 0;
  std::uint8_t keyidx = 0;

  // VP9 refers to pictures by the difference of their ids: dropped ones leave holes, as in dependency descriptors.
  // VP8's picture ids close up.
  bool keeps_holes = false;
};

struct PayloadInfo {
  bool valid = false;           // false: malformed descriptor, the packet is not forwarded
  bool keyframe_start = false;  // first packet of a frame from which decoding can start
  bool frame_start = false;     // first packet of a frame (with SVC: of one spatial layer's frame)
  bool frame_end = false;       // last packet of a frame (with SVC: of one spatial layer's frame)
  bool switch_up = false;       // later frames of higher temporal layers need no earlier ones of those layers
  bool temporal_sync = false;   // this frame's temporal layer may be switched on at this packet
  bool spatial_sync = false;    // with SVC: this frame's spatial layer may be switched on at this packet
  bool is_opaque = false;       // end-to-end encrypted, and no header extension tells of layers or keyframes
  bool has_sps = false;         // H.264: carries a sequence parameter set
  std::uint8_t spatial = 0;     // SVC layer inside this encoding; 0 without SVC
  std::uint8_t temporal = 0;
  std::uint16_t height = 0;          // of the picture in pixels, at keyframes that tell; 0: not told
  std::uint16_t primary_offset = 0;  // RED: where the newest frame begins; 0: not RED, or nothing may be read of it
  std::uint8_t copies = 0;           // RED: how many earlier frames come with it
  PictureFields picture;
};

}  // namespace parley
