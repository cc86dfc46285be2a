#include "rtx.h"

#include <algorithm>

namespace parley {

std::optional<MutableBytes> decapsulate_rtx(MutableBytes packet, const RtpView& rtx, std::uint8_t pt,
                                            std::uint32_t ssrc) {
  if (rtx.packet.data() != packet.data() || rtx.packet.size() != packet.size() || rtx.payload_size < 2) {
    return std::nullopt;
  }
  const std::uint16_t original_seq = load_u16(packet, rtx.payload_offset);
  std::copy_backward(packet.begin(), packet.begin() + rtx.payload_offset, packet.begin() + rtx.payload_offset + 2);
  const MutableBytes original = packet.subspan(2);
  original[1] = static_cast<std::uint8_t>((original[1] & 0x80U) | (pt & 0x7FU));
  store_u16(original, 2, original_seq);
  store_u32(original, 8, ssrc);
  return original;
}

}  // namespace parley
