// Any datagram: a kind, and the length rule of that kind.
#include <cstdlib>

#include "demux.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const parley::Bytes datagram(data, size);
  switch (parley::classify(datagram)) {
    case parley::DatagramKind::kStun:
      return size >= parley::kStunHeaderSize ? 0 : (std::abort(), 0);
    case parley::DatagramKind::kRtp:
      return size >= parley::kRtpHeaderSize ? 0 : (std::abort(), 0);
    case parley::DatagramKind::kRtcp:
      return size >= parley::kRtcpHeaderSize ? 0 : (std::abort(), 0);
    default:
      return 0;
  }
}
