// VP9: payload descriptor, flexible and non-flexible mode, scalability structure skipped within bounds.
// Thread: any. Source: RFC 9628 section 4.2.
#pragma once

#include "../bytes.h"
#include "payload_info.h"

namespace parley {

[[nodiscard]] PayloadInfo peek_vp9(Bytes payload, bool marker);

}  // namespace parley
