#include "red.h"

namespace parley {

namespace {

constexpr std::uint8_t kFollowed = 0x80;  // another block header comes behind this one
constexpr std::uint8_t kPaddingBit = 0x20;

}  // namespace

std::optional<RedPayload> parse_red(Bytes payload) {
  RedPayload red;
  std::array<std::uint16_t, RedPayload::kMaxCopies> sizes{};
  Reader reader(payload);
  // A copy's header has four bytes, the newest frame's has one.
  std::uint8_t first = reader.u8();
  while ((first & kFollowed) != 0) {
    if (red.copy_count == RedPayload::kMaxCopies) {
      return std::nullopt;
    }
    const std::uint32_t packed = reader.u24();
    sizes[red.copy_count] = static_cast<std::uint16_t>(packed & 0x3FFU);
    red.copies[red.copy_count++] = {.pt = static_cast<std::uint8_t>(first & 0x7FU),
                                    .timestamp_offset = static_cast<std::uint16_t>(packed >> 10U),
                                    .data = {}};
    first = reader.u8();
  }
  red.primary_pt = first;
  for (std::size_t index = 0; index < red.copy_count; ++index) {
    red.copies[index].data = reader.take(sizes[index]);
  }
  if (!reader.ok() || reader.remaining() == 0) {
    return std::nullopt;
  }
  red.primary_offset = static_cast<std::uint16_t>(payload.size() - reader.remaining());
  return red;
}

PayloadInfo peek_red(Bytes payload) {
  PayloadInfo info;
  if (const auto red = parse_red(payload)) {
    info.valid = info.frame_start = info.frame_end = true;
    info.primary_offset = red->primary_offset;
    info.copies = red->copy_count;
  }
  return info;
}

void set_red_types(MutableBytes payload, std::uint8_t pt) {
  for (std::size_t at = 0; at < payload.size(); at += 4) {
    const bool is_followed = (payload[at] & kFollowed) != 0;
    payload[at] = static_cast<std::uint8_t>((payload[at] & kFollowed) | pt);
    if (!is_followed) {
      return;
    }
  }
}

Bytes without_copies(const Packet& packet, MutableBytes out) {
  const RtpView& rtp = packet.rtp;
  const Bytes header = rtp.packet.first(rtp.payload_offset);
  const Bytes frame = rtp.payload().subspan(packet.payload.primary_offset);
  copy_to(out, 0, header);
  copy_to(out, header.size(), frame);
  out[0] = static_cast<std::uint8_t>(out[0] & ~kPaddingBit);
  out[1] = static_cast<std::uint8_t>((rtp.marker ? 0x80U : 0U) | rtp.payload()[4U * packet.payload.copies]);
  return out.first(header.size() + frame.size());
}

}  // namespace parley
