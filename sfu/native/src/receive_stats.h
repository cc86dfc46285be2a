// Reception statistics of one encoding and its report block.
// Thread: the worker that owns the track. Source: RFC 3550 sections 6.4.1, A.1, A.3, A.8.
#pragma once

#include <cstdint>

#include "rtcp_view.h"
#include "units.h"

namespace parley {

// 32.32 NTP as used in sender reports, from a monotonic clock: only differences matter to us.
[[nodiscard]] constexpr std::uint64_t to_ntp(TimeNs now) {
  const auto ns = static_cast<std::uint64_t>(now);
  return ((ns / 1'000'000'000U) << 32U) | (((ns % 1'000'000'000U) << 32U) / 1'000'000'000U);
}
// A duration in ticks of an RTP clock, wrapping; negative durations count back.
[[nodiscard]] constexpr std::uint32_t to_ticks(TimeNs duration, std::uint32_t clock_hz) {
  const auto hz = static_cast<std::int64_t>(clock_hz);
  return static_cast<std::uint32_t>(duration / kSecond * hz + duration % kSecond * hz / kSecond);
}
// The middle 32 bits (16.16 s), as LSR carries them.
[[nodiscard]] constexpr std::uint32_t compact_ntp(std::uint64_t ntp) { return static_cast<std::uint32_t>(ntp >> 16U); }
// A 16.16 duration in ns.
[[nodiscard]] constexpr TimeNs from_compact(std::uint32_t duration) {
  return static_cast<TimeNs>((static_cast<std::uint64_t>(duration) * 1'000'000'000U) >> 16U);
}

class ReceiveStats {
 public:
  explicit ReceiveStats(std::uint32_t clock_hz) : clock_hz_(clock_hz) {}

  // Every packet once (no duplicates). `repaired`: came by RTX; the original stays lost in the report, since RTX is a
  // stream of its own (RFC 4588 section 4) and the publisher's rate control must see the loss.
  void receive(std::int64_t ext_seq, std::uint32_t rtp_timestamp, std::size_t size_bytes, bool repaired, TimeNs now);

  void receive_sender_report(std::uint64_t ntp, TimeNs now);

  // The block for the next report; starts a new interval for the fraction lost.
  [[nodiscard]] ReportBlock take_report(std::uint32_t ssrc, TimeNs now);

  [[nodiscard]] std::uint64_t packets() const { return received_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t repaired() const { return repaired_; }
  [[nodiscard]] std::int64_t lost() const { return started_ ? expected() - static_cast<std::int64_t>(received_) : 0; }
  [[nodiscard]] std::uint32_t jitter() const { return static_cast<std::uint32_t>(jitter_ >> 4); }  // clock units
  void set_clock(std::uint32_t clock_hz) { clock_hz_ = clock_hz; }

 private:
  [[nodiscard]] std::int64_t expected() const { return highest_ - first_ + 1; }

  std::uint32_t clock_hz_;
  std::int64_t first_ = 0;
  std::int64_t highest_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t repaired_ = 0;
  std::int64_t expected_prior_ = 0;
  std::int64_t received_prior_ = 0;
  std::int64_t jitter_ = 0;  // times 16 (RFC 3550 A.8)
  std::uint32_t last_transit_ = 0;
  std::uint32_t last_sr_ = 0;
  TimeNs last_sr_time_ = 0;
  bool started_ = false;
  bool has_transit_ = false;
  bool has_sr_ = false;
};

}  // namespace parley
