// RED: an Opus frame, and copies of the frames that went before it.
// Thread: any. Source: RFC 2198 section 3.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "../bytes.h"
#include "../packet.h"
#include "payload_info.h"

namespace parley {

struct RedBlock {
  std::uint8_t pt = 0;
  std::uint16_t timestamp_offset = 0;  // how much older than the packet's timestamp
  Bytes data;
};

struct RedPayload {
  static constexpr std::size_t kMaxCopies = 8;  // browsers send one or two

  std::array<RedBlock, kMaxCopies> copies{};  // oldest first
  std::uint8_t copy_count = 0;
  std::uint8_t primary_pt = 0;
  std::uint16_t primary_offset = 0;  // of the newest frame, in the payload
};

// Nothing when the headers or blocks overrun the payload, there are more than kMaxCopies copies, or the newest frame is
// empty.
[[nodiscard]] std::optional<RedPayload> parse_red(Bytes payload);

[[nodiscard]] PayloadInfo peek_red(Bytes payload);

// Writes `pt` into every block header of a payload that parse_red took.
void set_red_types(MutableBytes payload, std::uint8_t pt);

// The packet with its newest frame alone, under that frame's payload type; `packet` holds RED that parse_red took. The
// result lies in `out`, which has room for kMaxPacketSize bytes.
[[nodiscard]] Bytes without_copies(const Packet& packet, MutableBytes out);

}  // namespace parley
