#include "sender_report.h"

#include "receive_stats.h"

namespace parley {

namespace {
constexpr std::int64_t kMaxClockDistance = std::int64_t{3600} << 32;  // one hour in 32.32
constexpr TimeNs kMaxRtt = 10 * kSecond;
}  // namespace

void EncodingClocks::receive(std::size_t encoding, const SenderInfo& report, TimeNs now) {
  if (encoding < reports_.size() && report.ntp != 0) {  // 0: the sender has no clock (RFC 3550 section 6.4.1)
    reports_[encoding] = SourceReport{.ntp = report.ntp, .rtp_timestamp = report.rtp_timestamp, .arrival = now};
  }
}

std::optional<SourceReport> EncodingClocks::report(std::size_t encoding) const {
  return encoding < reports_.size() ? reports_[encoding] : std::nullopt;
}

void EncodingClocks::forget(std::size_t encoding) {
  if (encoding < reports_.size()) {
    reports_[encoding].reset();
  }
}

std::optional<std::uint32_t> EncodingClocks::align(std::size_t from, std::size_t to, std::uint32_t timestamp,
                                                   std::uint32_t clock_hz) const {
  if (from == to) {
    return timestamp;
  }
  const auto source = report(from);
  const auto target = report(to);
  if (!source || !target) {
    return std::nullopt;
  }
  const auto apart = static_cast<std::int64_t>(source->ntp - target->ntp);
  if (apart > kMaxClockDistance || apart < -kMaxClockDistance) {
    return std::nullopt;
  }
  // Eight bits of the fraction are given up so that the product stays within 64 bits.
  const std::int64_t ticks = ((apart >> 8) * static_cast<std::int64_t>(clock_hz)) >> 24;
  return target->rtp_timestamp + static_cast<std::uint32_t>(ticks) + (timestamp - source->rtp_timestamp);
}

SenderInfo translate_report(const SourceReport& source, std::uint32_t timestamp_offset, std::uint32_t clock_hz,
                            std::uint32_t ssrc, std::uint32_t packets_sent, std::uint32_t bytes_sent, TimeNs now) {
  const TimeNs elapsed = now > source.arrival ? now - source.arrival : 0;
  return SenderInfo{.ssrc = ssrc,
                    .ntp = source.ntp + to_ntp(elapsed),
                    .rtp_timestamp = source.rtp_timestamp + timestamp_offset + to_ticks(elapsed, clock_hz),
                    .packet_count = packets_sent,
                    .octet_count = bytes_sent};
}

void SentReports::sent(std::uint64_t ntp, TimeNs now) {
  ring_[next_] = {.compact = compact_ntp(ntp), .at = now};
  next_ = (next_ + 1) % ring_.size();
}

std::optional<TimeNs> SentReports::rtt(const ReportBlock& block, TimeNs now) const {
  if (block.last_sr == 0) {
    return std::nullopt;  // the receiver has seen no report yet
  }
  for (const Sent& sent : ring_) {
    if (sent.compact == block.last_sr) {
      const TimeNs rtt = now - sent.at - from_compact(block.delay_since_sr);
      return rtt >= 0 && rtt <= kMaxRtt ? std::optional(rtt) : std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace parley
