// Opus: every packet is a frame.
// Thread: any. Source: RFC 7587.
#pragma once

#include "../bytes.h"
#include "payload_info.h"

namespace parley {

[[nodiscard]] PayloadInfo peek_opus(Bytes payload);

}  // namespace parley
