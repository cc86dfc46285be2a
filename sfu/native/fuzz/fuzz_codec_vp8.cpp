// Any payload; a descriptor that parses can be rewritten, and reads back as written.
#include <array>
#include <cstdlib>

#include "codec_peek/vp8.h"
#include "munger.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::array<std::uint8_t, 2048> bytes{};
  if (size == 0 || size > 1500) {
    return 0;
  }
  bytes[0] = 0x80;
  parley::copy_to(bytes, 12, {data, size});
  const auto rtp = parley::parse_rtp(parley::Bytes(bytes).first(12 + size));
  if (!rtp) {
    std::abort();
  }
  parley::Packet packet;
  packet.rtp = *rtp;
  packet.codec = parley::Codec::kVp8;
  packet.payload = parley::peek_vp8(rtp->payload(), false);
  const auto patch = parley::payload_patch(packet, 0x1234, 200, 17);
  if (!packet.payload.valid || patch.size == 0) {
    return patch.size == 0 ? 0 : (std::abort(), 0);
  }
  std::array<std::uint8_t, 2048> out{};
  const std::size_t written = parley::write_rtp(packet, {}, parley::ExtensionPlan{}, {.pt = 96}, patch, out);
  const auto again = parley::parse_rtp(parley::Bytes(out).first(written));
  const auto info = again ? parley::peek_vp8(again->payload(), false) : parley::PayloadInfo{};
  const auto& before = packet.payload.picture;
  if (!info.valid || info.keyframe_start != packet.payload.keyframe_start || info.temporal != packet.payload.temporal ||
      (before.has_picture_id && (!info.picture.is_15_bit || info.picture.picture_id != 0x1234)) ||
      (before.has_tl0_pic_idx && info.picture.tl0_pic_idx != 200) ||
      (before.has_tid_keyidx && info.picture.keyidx != 17)) {
    std::abort();
  }
  return 0;
}
