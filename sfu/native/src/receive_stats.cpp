#include "receive_stats.h"

#include <algorithm>

namespace parley {

namespace {
constexpr std::int64_t kMaxCumulativeLost = 0x7FFFFF;
constexpr std::int64_t kMinCumulativeLost = -0x800000;
constexpr std::uint32_t kMaxTransitChangeS = 5;  // more is a new timeline, not jitter
}  // namespace

void ReceiveStats::receive(std::int64_t ext_seq, std::uint32_t rtp_timestamp, std::size_t size_bytes, bool repaired,
                           TimeNs now) {
  bytes_ += size_bytes;
  if (repaired) {
    ++repaired_;
    return;
  }
  ++received_;
  if (!started_) {
    started_ = true;
    first_ = ext_seq;
    highest_ = ext_seq;
  } else if (ext_seq < highest_) {
    first_ = std::min(first_, ext_seq);
    return;  // out of order: its transit time says nothing about the network's jitter
  }
  highest_ = ext_seq;
  const std::uint32_t transit = to_ticks(now, clock_hz_) - rtp_timestamp;
  if (has_transit_) {
    const auto change = static_cast<std::int32_t>(transit - last_transit_);
    const auto distance = (change < 0 ? -static_cast<std::int64_t>(change) : change);
    if (distance < static_cast<std::int64_t>(clock_hz_) * kMaxTransitChangeS) {
      jitter_ += distance - ((jitter_ + 8) >> 4);
    }
  }
  last_transit_ = transit;
  has_transit_ = true;
}

void ReceiveStats::receive_sender_report(std::uint64_t ntp, TimeNs now) {
  last_sr_ = compact_ntp(ntp);
  last_sr_time_ = now;
  has_sr_ = true;
}

ReportBlock ReceiveStats::take_report(std::uint32_t ssrc, TimeNs now) {
  ReportBlock block;
  block.ssrc = ssrc;
  if (started_) {
    const std::int64_t expected_now = expected();
    const auto received_now = static_cast<std::int64_t>(received_);
    const std::int64_t expected_interval = expected_now - expected_prior_;
    const std::int64_t lost_interval = expected_interval - (received_now - received_prior_);
    expected_prior_ = expected_now;
    received_prior_ = received_now;
    if (expected_interval > 0 && lost_interval > 0) {
      block.fraction_lost =
          static_cast<std::uint8_t>(std::min<std::int64_t>((lost_interval << 8) / expected_interval, 255));
    }
    block.cumulative_lost =
        static_cast<std::int32_t>(std::clamp(expected_now - received_now, kMinCumulativeLost, kMaxCumulativeLost));
    block.highest_seq = static_cast<std::uint32_t>(highest_);
    block.jitter = jitter();
  }
  if (has_sr_) {
    block.last_sr = last_sr_;
    block.delay_since_sr = compact_ntp(to_ntp(std::max<TimeNs>(now - last_sr_time_, 0)));
  }
  return block;
}

}  // namespace parley
