#include "rtcp_build.h"

#include "seq.h"

namespace parley {

namespace {

constexpr std::size_t kMaxReportBlocks = 31;

// One message under construction: the length is filled in at the end, and a message that did not fit leaves no trace.
class MessageScope {
 public:
  MessageScope(Writer& out, std::uint8_t count, std::uint8_t type) : out_(out), start_(out.size()) {
    out_.u8(static_cast<std::uint8_t>(0x80U | count));
    out_.u8(type);
    out_.u16(0);
  }

  // Pads to a word; true when the whole message is there.
  bool finish() {
    while (out_.ok() && (out_.size() - start_) % 4 != 0) {
      out_.u8(0);
    }
    if (!out_.ok()) {
      out_.rewind(start_);
      return false;
    }
    out_.patch_u16(start_ + 2, static_cast<std::uint16_t>((out_.size() - start_) / 4 - 1));
    return true;
  }

 private:
  Writer& out_;
  std::size_t start_;
};

void write_block(Writer& out, const ReportBlock& block) {
  out.u32(block.ssrc);
  out.u8(block.fraction_lost);
  out.u24(static_cast<std::uint32_t>(block.cumulative_lost) & 0xFFFFFFU);
  out.u32(block.highest_seq);
  out.u32(block.jitter);
  out.u32(block.last_sr);
  out.u32(block.delay_since_sr);
}

}  // namespace

bool append_receiver_report(Writer& out, std::uint32_t sender_ssrc, std::span<const ReportBlock> blocks) {
  if (blocks.size() > kMaxReportBlocks) {
    return false;
  }
  MessageScope message(out, static_cast<std::uint8_t>(blocks.size()), kRtcpRr);
  out.u32(sender_ssrc);
  for (const auto& block : blocks) {
    write_block(out, block);
  }
  return message.finish();
}

bool append_sender_report(Writer& out, const SenderInfo& info, std::span<const ReportBlock> blocks) {
  if (blocks.size() > kMaxReportBlocks) {
    return false;
  }
  MessageScope message(out, static_cast<std::uint8_t>(blocks.size()), kRtcpSr);
  out.u32(info.ssrc);
  out.u64(info.ntp);
  out.u32(info.rtp_timestamp);
  out.u32(info.packet_count);
  out.u32(info.octet_count);
  for (const auto& block : blocks) {
    write_block(out, block);
  }
  return message.finish();
}

bool append_sdes_cname(Writer& out, std::uint32_t ssrc, std::string_view cname) {
  if (cname.empty() || cname.size() > 255) {
    return false;
  }
  MessageScope message(out, 1, kRtcpSdes);
  out.u32(ssrc);
  out.u8(1);
  out.u8(static_cast<std::uint8_t>(cname.size()));
  out.bytes(as_bytes(cname));
  out.u8(0);  // ends the chunk; more zeros fill its word (RFC 3550 section 6.5)
  return message.finish();
}

bool append_bye(Writer& out, std::uint32_t ssrc) {
  MessageScope message(out, 1, kRtcpBye);
  out.u32(ssrc);
  return message.finish();
}

bool append_nack(Writer& out, std::uint32_t sender_ssrc, std::uint32_t media_ssrc,
                 std::span<const std::uint16_t> seqs) {
  if (seqs.empty()) {
    return false;
  }
  MessageScope message(out, 1, kRtcpRtpfb);
  out.u32(sender_ssrc);
  out.u32(media_ssrc);
  for (std::size_t i = 0; i < seqs.size();) {
    const std::uint16_t pid = seqs[i++];
    std::uint16_t blp = 0;
    for (; i < seqs.size(); ++i) {
      const auto distance = static_cast<std::uint16_t>(seqs[i] - pid);
      if (distance == 0 || distance > 16) {
        break;
      }
      blp = static_cast<std::uint16_t>(blp | (1U << (distance - 1U)));
    }
    out.u16(pid);
    out.u16(blp);
  }
  return message.finish();
}

bool append_pli(Writer& out, std::uint32_t sender_ssrc, std::uint32_t media_ssrc) {
  MessageScope message(out, 1, kRtcpPsfb);
  out.u32(sender_ssrc);
  out.u32(media_ssrc);
  return message.finish();
}

bool append_fir(Writer& out, std::uint32_t sender_ssrc, std::uint32_t media_ssrc, std::uint8_t command_seq) {
  MessageScope message(out, 4, kRtcpPsfb);
  out.u32(sender_ssrc);
  out.u32(0);  // the media SSRC is in the entry (RFC 5104 section 4.3.1.2)
  out.u32(media_ssrc);
  out.u8(command_seq);
  out.u24(0);
  return message.finish();
}

bool append_reference_time(Writer& out, std::uint32_t sender_ssrc, std::uint64_t ntp) {
  constexpr std::uint8_t kReceiverReferenceTime = 4;
  MessageScope message(out, 0, kRtcpXr);
  out.u32(sender_ssrc);
  out.u8(kReceiverReferenceTime);
  out.u8(0);
  out.u16(2);
  out.u64(ntp);
  return message.finish();
}

bool append_remb(Writer& out, std::uint32_t sender_ssrc, std::uint64_t bitrate_bps,
                 std::span<const std::uint32_t> ssrcs) {
  if (ssrcs.size() > 255) {
    return false;
  }
  std::uint32_t exponent = 0;
  std::uint64_t mantissa = bitrate_bps;
  for (; mantissa > 0x3FFFFU; mantissa >>= 1U) {
    ++exponent;
  }
  MessageScope message(out, 15, kRtcpPsfb);
  out.u32(sender_ssrc);
  out.u32(0);
  out.u32(kRembName);
  out.u8(static_cast<std::uint8_t>(ssrcs.size()));
  out.u24((exponent << 18U) | static_cast<std::uint32_t>(mantissa));
  for (const std::uint32_t ssrc : ssrcs) {
    out.u32(ssrc);
  }
  return message.finish();
}

}  // namespace parley
