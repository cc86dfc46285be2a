// H.264: single NAL unit, STAP-A and FU-A; a keyframe starts at an SPS, or at an IDR slice.
// Thread: any. Source: RFC 6184 section 5.
#pragma once

#include "../bytes.h"
#include "payload_info.h"

namespace parley {

[[nodiscard]] PayloadInfo peek_h264(Bytes payload, bool marker);

}  // namespace parley
