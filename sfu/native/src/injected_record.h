// Records that a local process writes to its end of a tap socket: the tap's own format, read with bounds.
// Thread: any. Source: docs/forwarding.md, "Tap records".
#pragma once

#include <cstdint>
#include <optional>

#include "bytes.h"
#include "rtcp_view.h"
#include "tap_sink.h"

namespace parley {

struct InjectedRecord {
  TapKind kind = TapKind::kRtp;
  std::uint32_t ssrc = 0;
  MutableBytes body;

  // Of a sender report; nothing for a body of another size.
  [[nodiscard]] std::optional<SenderInfo> report() const;
};

// Takes the first record off `datagram`; nothing when it is malformed (what follows cannot be trusted either) or empty.
[[nodiscard]] std::optional<InjectedRecord> take_record(MutableBytes& datagram);

}  // namespace parley
