// Sender reports across the SFU: clocks of a track's encodings, translation per forward, and RTT from receivers'
// blocks. Thread: the worker that owns the track (EncodingClocks) or the forward (SentReports). Source: RFC 3550
// sections 6.4.1 and 6.4.2.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "encoding_activity.h"
#include "rtcp_view.h"
#include "units.h"

namespace parley {

// The last sender report of one encoding: ties its RTP clock to the publisher's NTP clock.
struct SourceReport {
  std::uint64_t ntp = 0;
  std::uint32_t rtp_timestamp = 0;
  TimeNs arrival = 0;
};

// One track's encodings share the publisher's NTP clock, which aligns their RTP clocks.
class EncodingClocks {
 public:
  void receive(std::size_t encoding, const SenderInfo& report, TimeNs now);
  [[nodiscard]] std::optional<SourceReport> report(std::size_t encoding) const;

  // `timestamp` of encoding `from`, expressed on the clock of encoding `to`; nothing until both have reported.
  [[nodiscard]] std::optional<std::uint32_t> align(std::size_t from, std::size_t to, std::uint32_t timestamp,
                                                   std::uint32_t clock_hz) const;
  // The encoding begins anew, on a clock that has not been told.
  void forget(std::size_t encoding);

 private:
  std::array<std::optional<SourceReport>, kMaxEncodings> reports_{};
};

// The subscriber's report for a forward: the publisher's NTP carried on to `now`, its RTP time moved by the forward's
// offset. Audio and video of one publisher keep one NTP clock, so lip sync holds.
[[nodiscard]] SenderInfo translate_report(const SourceReport& source, std::uint32_t timestamp_offset,
                                          std::uint32_t clock_hz, std::uint32_t ssrc, std::uint32_t packets_sent,
                                          std::uint32_t bytes_sent, TimeNs now);

// When the forward's last reports went out, to read RTT from LSR and DLSR.
class SentReports {
 public:
  void sent(std::uint64_t ntp, TimeNs now);

  // Nothing when the block refers to no report of ours, or is nonsense (negative, over 10 s).
  [[nodiscard]] std::optional<TimeNs> rtt(const ReportBlock& block, TimeNs now) const;

 private:
  struct Sent {
    std::uint32_t compact = 0;
    TimeNs at = 0;
  };
  std::array<Sent, 4> ring_{};
  std::size_t next_ = 0;
};

}  // namespace parley
