// VP8: payload descriptor and the keyframe bit.
// Thread: any. Source: RFC 7741 sections 4.2, 4.3.
#pragma once

#include "../bytes.h"
#include "payload_info.h"

namespace parley {

// `payload`: the RTP payload without padding. `marker` ends the frame.
[[nodiscard]] PayloadInfo peek_vp8(Bytes payload, bool marker);

}  // namespace parley
