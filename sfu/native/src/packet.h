// One received RTP packet with everything the receive side learned about it, once. Copyable; `rtp.packet` is a view.
// Thread: the worker that owns the track.
#pragma once

#include <cstdint>

#include "codec.h"
#include "codec_peek/payload_info.h"
#include "rtp_view.h"
#include "units.h"

namespace parley {

// The largest packet that is stored and forwarded.
inline constexpr std::size_t kMaxPacketSize = 1500;

struct Packet {
  RtpView rtp;
  ExtensionTable extensions;
  PayloadInfo payload;
  std::int64_t ext_seq = 0;  // unwrapped per encoding
  TimeNs arrival = 0;
  Codec codec = Codec::kUnknown;
  std::uint8_t encoding = 0;  // index in the track, low to high
  bool repaired = false;      // came by RTX

  [[nodiscard]] bool is_padding_only() const { return rtp.payload_size == 0; }
  // RED that can be unpacked.
  [[nodiscard]] bool has_copies() const { return codec == Codec::kRed && payload.primary_offset != 0; }
};

}  // namespace parley
