// Appends RTCP messages to a Writer, each whole or not at all (false: no room, nothing written).
// Thread: any. Source: as rtcp_view.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "bytes.h"
#include "rtcp_view.h"

namespace parley {

// At most 31 blocks; more are refused.
bool append_receiver_report(Writer& out, std::uint32_t sender_ssrc, std::span<const ReportBlock> blocks);
bool append_sender_report(Writer& out, const SenderInfo& info, std::span<const ReportBlock> blocks);
// `cname` 1..255 bytes.
bool append_sdes_cname(Writer& out, std::uint32_t ssrc, std::string_view cname);
bool append_bye(Writer& out, std::uint32_t ssrc);
// `seqs` ascending (in wrap order), no duplicates; packed into as few pairs as possible. Nothing to ask is refused.
bool append_nack(Writer& out, std::uint32_t sender_ssrc, std::uint32_t media_ssrc, std::span<const std::uint16_t> seqs);
bool append_pli(Writer& out, std::uint32_t sender_ssrc, std::uint32_t media_ssrc);
bool append_fir(Writer& out, std::uint32_t sender_ssrc, std::uint32_t media_ssrc, std::uint8_t command_seq);
// A receiver's clock, which senders echo: its way to a round-trip time (XR block 4, RFC 3611 section 4.4).
bool append_reference_time(Writer& out, std::uint32_t sender_ssrc, std::uint64_t ntp);
// At most 255 ssrcs.
bool append_remb(Writer& out, std::uint32_t sender_ssrc, std::uint64_t bitrate_bps,
                 std::span<const std::uint32_t> ssrcs);
// Transport-wide feedback is built by TwccRecorder::build.

}  // namespace parley
