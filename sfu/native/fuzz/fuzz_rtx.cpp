// Any RTX packet: what comes out is two bytes shorter, parses, and carries the rest of the payload.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "rtx.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> packet(data, data + size);
  const std::vector<std::uint8_t> before = packet;
  const auto rtx = parley::parse_rtp(packet);
  if (!rtx) {
    return 0;
  }
  const auto original = parley::decapsulate_rtx(packet, *rtx, 97, 0xCAFE);
  if (original.has_value() != (rtx->payload_size >= 2)) {
    std::abort();
  }
  if (!original) {
    return 0;
  }
  const auto view = parley::parse_rtp(*original);
  const auto expected = parley::Bytes(before).subspan(rtx->payload_offset + 2U, rtx->payload_size - 2U);
  if (!view || original->size() + 2 != size || view->pt != 97 || view->ssrc != 0xCAFE ||
      view->seq != parley::load_u16(before, rtx->payload_offset) || !std::ranges::equal(view->payload(), expected)) {
    std::abort();
  }
  return 0;
}
