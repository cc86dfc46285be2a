// Which protocol a datagram on the shared port belongs to. Length first: an empty or short datagram is rejected here.
// Thread: any. Source: RFC 7983 section 7, RFC 5761 section 4.
#pragma once

#include <cstdint>

#include "bytes.h"

namespace parley {

enum class DatagramKind : std::uint8_t { kReject, kStun, kDtls, kTurnChannel, kRtp, kRtcp };

inline constexpr std::size_t kStunHeaderSize = 20;
inline constexpr std::size_t kDtlsHeaderSize = 13;
inline constexpr std::size_t kRtpHeaderSize = 12;
inline constexpr std::size_t kRtcpHeaderSize = 8;  // header and sender SSRC, which SRTCP leaves in the clear

// kReject: empty, shorter than its protocol's fixed header, or no protocol of ours. The engine checks the SRTP tag's
// length besides, before any crypto (it knows the profile).
[[nodiscard]] inline DatagramKind classify(Bytes datagram) {
  if (datagram.empty()) {
    return DatagramKind::kReject;
  }
  const std::uint8_t first = datagram[0];
  if (first >= 128 && first <= 191) {
    if (datagram.size() < kRtcpHeaderSize) {
      return DatagramKind::kReject;
    }
    // RTCP packet types 192..223 sit where RTP has marker and payload types 64..95 (RFC 5761 section 4).
    if (datagram[1] >= 192 && datagram[1] <= 223) {
      return DatagramKind::kRtcp;
    }
    return datagram.size() >= kRtpHeaderSize ? DatagramKind::kRtp : DatagramKind::kReject;
  }
  if (first <= 3) {
    return datagram.size() >= kStunHeaderSize ? DatagramKind::kStun : DatagramKind::kReject;
  }
  if (first >= 20 && first <= 63) {
    return datagram.size() >= kDtlsHeaderSize ? DatagramKind::kDtls : DatagramKind::kReject;
  }
  if (first >= 64 && first <= 79) {
    return datagram.size() >= 4 ? DatagramKind::kTurnChannel : DatagramKind::kReject;
  }
  return DatagramKind::kReject;
}

}  // namespace parley
