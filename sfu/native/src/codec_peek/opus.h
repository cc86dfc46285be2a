// Opus and RED: every packet is a frame; RED's header chain is checked within bounds.
// Thread: any. Source: RFC 7587, RFC 2198 section 3.
#pragma once

#include "../bytes.h"
#include "payload_info.h"

namespace parley {

[[nodiscard]] PayloadInfo peek_opus(Bytes payload);
[[nodiscard]] PayloadInfo peek_red(Bytes payload);

}  // namespace parley
