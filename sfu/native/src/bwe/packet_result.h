// What feedback says of one packet that was sent with a transport-wide sequence number.
// Thread: any; plain values.
#pragma once

#include <cstdint>

#include "units.h"

namespace parley {

struct PacketResult {
  TimeNs sent = 0;            // our clock
  TimeNs arrived = 0;         // the receiver's clock, only differences mean something; valid when received
  std::uint32_t bytes = 0;    // on the wire
  std::uint16_t cluster = 0;  // probe cluster, 0: ordinary media
  std::uint16_t seq = 0;      // its transport-wide number
  bool received = false;
};

}  // namespace parley
