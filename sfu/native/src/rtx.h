// RTX on the receive side: restores the original packet in place. (The send side is `RtpRewrite::original_seq`.)
// Thread: the worker that owns the track. Source: RFC 4588 section 4.
#pragma once

#include <cstdint>
#include <optional>

#include "bytes.h"
#include "rtp_view.h"

namespace parley {

// `packet` is what `rtx` was parsed from. The header moves two bytes up over the original sequence number; the result
// is a view into `packet`, two bytes shorter, with the original seq and the given pt and ssrc. Nothing when the payload
// has fewer than two bytes (padding sent as a probe) or `rtx` is not a view of `packet`.
[[nodiscard]] std::optional<MutableBytes> decapsulate_rtx(MutableBytes packet, const RtpView& rtx, std::uint8_t pt,
                                                          std::uint32_t ssrc);

}  // namespace parley
