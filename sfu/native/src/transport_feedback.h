// Reads transport-wide congestion feedback: which of the packets we sent arrived, and when.
// Thread: any, one object at a time. Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.
#pragma once

#include <cstdint>
#include <optional>

#include "bytes.h"
#include "rtcp_view.h"
#include "units.h"

namespace parley {

inline constexpr TimeNs kTwccTick = 250 * kMicrosecond;
inline constexpr TimeNs kTwccReferenceUnit = 64 * kMillisecond;

// One packet's fate.
struct PacketFate {
  std::uint16_t seq = 0;
  bool received = false;
  // Since the feedback's reference time, in 250 us ticks; valid when received.
  std::int64_t arrival_ticks = 0;
};

class TransportFeedbackReader {
 public:
  // Nothing unless every status the header promises has its chunk and every received packet its delta. A reserved
  // two-bit symbol makes the message malformed.
  [[nodiscard]] static std::optional<TransportFeedbackReader> open(const RtcpMessage& message);

  [[nodiscard]] std::uint16_t base_seq() const { return base_seq_; }
  [[nodiscard]] std::uint16_t status_count() const { return status_count_; }
  [[nodiscard]] std::uint32_t reference_time() const { return reference_time_; }  // 64 ms units, 24 bits
  [[nodiscard]] std::uint8_t feedback_count() const { return feedback_count_; }

  // The next packet's fate, `status_count()` times.
  std::optional<PacketFate> next();

 private:
  TransportFeedbackReader(Bytes chunks, Bytes deltas) : chunks_(chunks), deltas_(deltas) {}
  std::uint8_t next_symbol();

  Reader chunks_;
  Reader deltas_;
  std::uint32_t reference_time_ = 0;
  std::uint16_t base_seq_ = 0;
  std::uint16_t status_count_ = 0;
  std::uint16_t done_ = 0;
  std::uint16_t chunk_ = 0;
  std::uint16_t chunk_left_ = 0;
  std::int64_t ticks_ = 0;
  std::uint8_t feedback_count_ = 0;
};

}  // namespace parley
