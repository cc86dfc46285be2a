// Walks a compound RTCP packet and reads the messages that an SFU acts on. Every count is bounded by the bytes present.
// Thread: any, one object at a time. Source: RFC 3550 section 6, RFC 3611, RFC 4585, RFC 5104,
// draft-alvestrand-rmcat-remb-03, draft-holmer-rmcat-transport-wide-cc-extensions-01.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bytes.h"

namespace parley {

inline constexpr std::uint32_t kRembName = 0x52454D42U;  // "REMB"

inline constexpr std::uint8_t kRtcpSr = 200;
inline constexpr std::uint8_t kRtcpRr = 201;
inline constexpr std::uint8_t kRtcpSdes = 202;
inline constexpr std::uint8_t kRtcpBye = 203;
inline constexpr std::uint8_t kRtcpRtpfb = 205;
inline constexpr std::uint8_t kRtcpPsfb = 206;
inline constexpr std::uint8_t kRtcpXr = 207;

enum class RtcpKind : std::uint8_t {
  kSenderReport,
  kReceiverReport,
  kSdes,
  kBye,
  kNack,
  kTransportFeedback,
  kPli,
  kFir,
  kRemb,
  kExtendedReport,
  kOther,  // APP, other feedback: ignored
};

struct RtcpMessage {
  RtcpKind kind = RtcpKind::kOther;
  std::uint8_t type = 0;
  std::uint8_t count = 0;  // report count, source count or feedback format
  Bytes body;              // behind the four-byte header, without padding
};

// for (RtcpReader reader(compound); auto message = reader.next();) ...
class RtcpReader {
 public:
  explicit RtcpReader(Bytes compound) : reader_(compound) {}

  // The next message; nothing at the end or at the first malformed header (`malformed()` tells which). Messages before
  // the malformed one stand.
  std::optional<RtcpMessage> next();
  [[nodiscard]] bool malformed() const { return malformed_; }

 private:
  Reader reader_;
  bool malformed_ = false;
};

struct SenderInfo {
  std::uint32_t ssrc = 0;
  std::uint64_t ntp = 0;  // 32.32
  std::uint32_t rtp_timestamp = 0;
  std::uint32_t packet_count = 0;
  std::uint32_t octet_count = 0;
};
[[nodiscard]] std::optional<SenderInfo> read_sender_info(const RtcpMessage& message);

struct ReportBlock {
  std::uint32_t ssrc = 0;
  std::uint8_t fraction_lost = 0;    // of 256
  std::int32_t cumulative_lost = 0;  // 24 bits signed
  std::uint32_t highest_seq = 0;
  std::uint32_t jitter = 0;
  std::uint32_t last_sr = 0;         // middle 32 bits of the SR's NTP
  std::uint32_t delay_since_sr = 0;  // 1/65536 s
};
// Report blocks of an SR or RR that are really there (<= 31).
[[nodiscard]] std::size_t report_block_count(const RtcpMessage& message);
[[nodiscard]] std::optional<ReportBlock> read_report_block(const RtcpMessage& message, std::size_t index);

// The SSRC of feedback's sender and of the media it is about; RTPFB and PSFB.
struct FeedbackHeader {
  std::uint32_t sender_ssrc = 0;
  std::uint32_t media_ssrc = 0;
};
[[nodiscard]] std::optional<FeedbackHeader> read_feedback_header(const RtcpMessage& message);

// Generic NACK: (pid, bitmask) pairs.
struct NackPair {
  std::uint16_t pid = 0;
  std::uint16_t blp = 0;
};
[[nodiscard]] std::size_t nack_pair_count(const RtcpMessage& message);
[[nodiscard]] NackPair read_nack_pair(const RtcpMessage& message, std::size_t index);

// Calls `each(std::uint16_t seq)` for every sequence number asked for; at most 17 per pair.
template <typename Each>
void for_each_nacked(const RtcpMessage& message, Each&& each) {
  const std::size_t pairs = nack_pair_count(message);
  for (std::size_t i = 0; i < pairs; ++i) {
    const NackPair pair = read_nack_pair(message, i);
    each(pair.pid);
    for (unsigned bit = 0; bit < 16; ++bit) {
      if (((pair.blp >> bit) & 1U) != 0) {
        each(static_cast<std::uint16_t>(pair.pid + bit + 1U));
      }
    }
  }
}

// What a sender answers to a receiver's reference time: how long ago it came (XR block DLRR, RFC 3611 section 4.5).
struct ReferenceEcho {
  std::uint32_t ssrc = 0;       // of the receiver
  std::uint32_t last_time = 0;  // middle 32 bits of its NTP
  std::uint32_t delay = 0;      // 1/65536 s
};

// Calls `each(const ReferenceEcho&)` for every echo of an extended report; blocks that overrun it end the walk.
template <typename Each>
void for_each_echo(const RtcpMessage& message, Each&& each) {
  constexpr std::uint8_t kDlrr = 5;
  if (message.kind != RtcpKind::kExtendedReport) {
    return;
  }
  Reader reader(message.body);
  reader.skip(4);
  while (reader.ok() && !reader.empty()) {
    const std::uint8_t type = reader.u8();
    reader.skip(1);
    Reader block(reader.take(reader.u16() * 4U));
    while (type == kDlrr && block.remaining() >= 12) {
      ReferenceEcho echo;
      echo.ssrc = block.u32();
      echo.last_time = block.u32();
      echo.delay = block.u32();
      each(echo);
    }
  }
}

struct FirEntry {
  std::uint32_t ssrc = 0;
  std::uint8_t command_seq = 0;
};
[[nodiscard]] std::size_t fir_entry_count(const RtcpMessage& message);
[[nodiscard]] FirEntry read_fir_entry(const RtcpMessage& message, std::size_t index);

struct Remb {
  std::uint64_t bitrate_bps = 0;
  std::uint8_t ssrc_count = 0;  // checked against the body
};
[[nodiscard]] std::optional<Remb> read_remb(const RtcpMessage& message);

// BYE: its SSRCs (<= 31).
[[nodiscard]] std::size_t bye_count(const RtcpMessage& message);
[[nodiscard]] std::uint32_t read_bye_ssrc(const RtcpMessage& message, std::size_t index);

// CNAME of the first chunk; nothing when malformed or absent. A view into the message.
[[nodiscard]] std::optional<std::string_view> read_cname(const RtcpMessage& message);

}  // namespace parley
