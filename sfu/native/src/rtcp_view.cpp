#include "rtcp_view.h"

#include <algorithm>

namespace parley {

namespace {

constexpr std::size_t kReportBlockSize = 24;
constexpr std::size_t kSenderInfoSize = 24;  // SSRC included

RtcpKind kind_of(std::uint8_t type, std::uint8_t count, Bytes body) {
  switch (type) {
    case kRtcpSr:
      return RtcpKind::kSenderReport;
    case kRtcpRr:
      return RtcpKind::kReceiverReport;
    case kRtcpSdes:
      return RtcpKind::kSdes;
    case kRtcpBye:
      return RtcpKind::kBye;
    case kRtcpXr:
      return RtcpKind::kExtendedReport;
    case kRtcpRtpfb:
      return count == 1 ? RtcpKind::kNack : count == 15 ? RtcpKind::kTransportFeedback : RtcpKind::kOther;
    case kRtcpPsfb:
      switch (count) {
        case 1:
          return RtcpKind::kPli;
        case 4:
          return RtcpKind::kFir;
        case 15:
          return body.size() >= 12 && load_u32(body, 8) == kRembName ? RtcpKind::kRemb : RtcpKind::kOther;
        default:
          return RtcpKind::kOther;
      }
    default:
      return RtcpKind::kOther;
  }
}

std::size_t entries_behind(const RtcpMessage& message, std::size_t header, std::size_t entry) {
  return message.body.size() < header ? 0 : (message.body.size() - header) / entry;
}

std::size_t blocks_offset(const RtcpMessage& message) {
  return message.kind == RtcpKind::kSenderReport ? kSenderInfoSize : 4;
}

bool has_blocks(const RtcpMessage& message) {
  return message.kind == RtcpKind::kSenderReport || message.kind == RtcpKind::kReceiverReport;
}

}  // namespace

std::optional<RtcpMessage> RtcpReader::next() {
  if (malformed_ || reader_.empty()) {
    return std::nullopt;
  }
  const std::uint8_t first = reader_.u8();
  const std::uint8_t type = reader_.u8();
  const std::size_t size = reader_.u16() * 4U;
  Bytes body = reader_.take(size);
  if (!reader_.ok() || (first >> 6) != 2) {
    malformed_ = true;
    return std::nullopt;
  }
  if ((first & 0x20U) != 0) {
    // Browsers pad transport-wide feedback by one to three bytes, wherever it stands: laxer than RFC 3550
    // section 6.4.1.
    const std::uint8_t padding = body.empty() ? std::uint8_t{0} : body.back();
    if (padding == 0 || padding > body.size()) {
      malformed_ = true;
      return std::nullopt;
    }
    body = body.first(body.size() - padding);
  }
  const std::uint8_t count = first & 0x1FU;
  return RtcpMessage{.kind = kind_of(type, count, body), .type = type, .count = count, .body = body};
}

std::optional<SenderInfo> read_sender_info(const RtcpMessage& message) {
  if (message.kind != RtcpKind::kSenderReport) {
    return std::nullopt;
  }
  Reader reader(message.body);
  SenderInfo info;
  info.ssrc = reader.u32();
  info.ntp = reader.u64();
  info.rtp_timestamp = reader.u32();
  info.packet_count = reader.u32();
  info.octet_count = reader.u32();
  if (!reader.ok()) {
    return std::nullopt;
  }
  return info;
}

std::size_t report_block_count(const RtcpMessage& message) {
  if (!has_blocks(message)) {
    return 0;
  }
  return std::min<std::size_t>(message.count, entries_behind(message, blocks_offset(message), kReportBlockSize));
}

std::optional<ReportBlock> read_report_block(const RtcpMessage& message, std::size_t index) {
  if (index >= report_block_count(message)) {
    return std::nullopt;
  }
  Reader reader(message.body.subspan(blocks_offset(message) + index * kReportBlockSize, kReportBlockSize));
  ReportBlock block;
  block.ssrc = reader.u32();
  block.fraction_lost = reader.u8();
  const std::uint32_t lost = reader.u24();
  block.cumulative_lost = static_cast<std::int32_t>(lost) - ((lost & 0x800000U) != 0 ? 0x1000000 : 0);
  block.highest_seq = reader.u32();
  block.jitter = reader.u32();
  block.last_sr = reader.u32();
  block.delay_since_sr = reader.u32();
  return block;
}

std::optional<FeedbackHeader> read_feedback_header(const RtcpMessage& message) {
  if ((message.type != kRtcpRtpfb && message.type != kRtcpPsfb) || message.body.size() < 8) {
    return std::nullopt;
  }
  return FeedbackHeader{.sender_ssrc = load_u32(message.body, 0), .media_ssrc = load_u32(message.body, 4)};
}

std::size_t nack_pair_count(const RtcpMessage& message) {
  return message.kind == RtcpKind::kNack ? entries_behind(message, 8, 4) : 0;
}

NackPair read_nack_pair(const RtcpMessage& message, std::size_t index) {
  if (index >= nack_pair_count(message)) {
    return {};
  }
  const std::size_t offset = 8 + index * 4;
  return {.pid = load_u16(message.body, offset), .blp = load_u16(message.body, offset + 2)};
}

std::size_t fir_entry_count(const RtcpMessage& message) {
  return message.kind == RtcpKind::kFir ? entries_behind(message, 8, 8) : 0;
}

FirEntry read_fir_entry(const RtcpMessage& message, std::size_t index) {
  if (index >= fir_entry_count(message)) {
    return {};
  }
  const std::size_t offset = 8 + index * 8;
  return {.ssrc = load_u32(message.body, offset), .command_seq = message.body[offset + 4]};
}

std::optional<Remb> read_remb(const RtcpMessage& message) {
  // 'REMB', count, 6 bits exponent, 18 bits mantissa, then the SSRCs.
  if (message.kind != RtcpKind::kRemb || message.body.size() < 16) {
    return std::nullopt;
  }
  const std::uint8_t ssrc_count = message.body[12];
  const std::uint32_t packed = load_u24(message.body, 13);
  const std::uint32_t exponent = packed >> 18;
  const std::uint64_t mantissa = packed & 0x3FFFFU;
  if (message.body.size() < 16U + ssrc_count * 4U || (exponent > 46 && mantissa != 0)) {
    return std::nullopt;
  }
  return Remb{.bitrate_bps = mantissa == 0 ? 0 : mantissa << exponent, .ssrc_count = ssrc_count};
}

std::size_t bye_count(const RtcpMessage& message) {
  return message.kind == RtcpKind::kBye ? std::min<std::size_t>(message.count, message.body.size() / 4) : 0;
}

std::uint32_t read_bye_ssrc(const RtcpMessage& message, std::size_t index) {
  return index < bye_count(message) ? load_u32(message.body, index * 4) : 0;
}

std::optional<std::string_view> read_cname(const RtcpMessage& message) {
  if (message.kind != RtcpKind::kSdes || message.count == 0) {
    return std::nullopt;
  }
  Reader reader(message.body);
  reader.skip(4);
  while (reader.ok()) {
    const std::uint8_t item = reader.u8();
    if (item == 0) {
      break;  // end of the chunk
    }
    const Bytes text = reader.take(reader.u8());
    if (item == 1 && reader.ok()) {
      return as_text(text);
    }
  }
  return std::nullopt;
}

}  // namespace parley
