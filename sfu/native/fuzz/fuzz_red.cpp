// Any payload as RED: what is taken apart lies within the payload and covers it, and can be put under other types and
// without its copies.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "codec_peek/red.h"
#include "demux.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > parley::kMaxPacketSize - parley::kRtpHeaderSize) {
    return 0;
  }
  const auto red = parley::parse_red({data, size});
  const parley::PayloadInfo info = parley::peek_red({data, size});
  if (red.has_value() != info.valid) {
    std::abort();
  }
  if (!red) {
    return 0;
  }
  std::size_t covered = 4U * red->copy_count + 1U + (size - red->primary_offset);
  for (std::size_t index = 0; index < red->copy_count; ++index) {
    covered += red->copies[index].data.size();
  }
  if (covered != size || info.primary_offset != red->primary_offset || info.copies != red->copy_count) {
    std::abort();
  }
  std::vector<std::uint8_t> packet(parley::kRtpHeaderSize);
  packet[0] = 0x80;
  packet.insert(packet.end(), data, data + size);
  parley::Packet source;
  source.rtp = *parley::parse_rtp(packet);
  source.codec = parley::Codec::kRed;
  source.payload = info;
  std::array<std::uint8_t, parley::kMaxPacketSize> out;
  const auto plain = parley::parse_rtp(parley::without_copies(source, out));
  if (!plain || plain->pt != red->primary_pt ||
      !std::ranges::equal(plain->payload(), parley::Bytes(data, size).subspan(red->primary_offset))) {
    std::abort();
  }
  std::vector<std::uint8_t> typed(data, data + size);
  parley::set_red_types(typed, 42);
  const auto again = parley::parse_red(typed);
  if (!again || again->primary_pt != 42 || again->primary_offset != red->primary_offset ||
      !std::equal(typed.begin() + red->primary_offset, typed.end(), data + red->primary_offset)) {
    std::abort();
  }
  return 0;
}
