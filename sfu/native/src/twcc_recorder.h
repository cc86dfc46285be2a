// Logs when transport-wide sequence numbers of one publisher's transport arrived, and builds the feedback for them.
// Bounded to the last 1024 numbers; late packets are reported again; a jump starts afresh.
// Thread: the worker that owns the transport. Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.
#pragma once

#include <cstdint>
#include <vector>

#include "bytes.h"
#include "seq.h"
#include "units.h"

namespace parley {

struct TwccConfig {
  TimeNs interval = 100 * kMillisecond;
  std::uint16_t max_packets = 100;  // feedback is due at once when so many wait
};

class TwccRecorder {
 public:
  static constexpr std::size_t kWindow = 1024;

  explicit TwccRecorder(const TwccConfig& config = {}) : config_(config) {}

  // Duplicates keep the first arrival.
  void receive(std::uint16_t seq, TimeNs now);

  // Something waits and the interval has passed or enough packets wait.
  [[nodiscard]] bool is_due(TimeNs now) const;
  [[nodiscard]] TimeNs deadline() const;  // kNever when nothing waits

  // Appends one feedback message (RTCP header included) for what waits; false when nothing waits or there is no room
  // for at least one status. What does not fit waits: call again.
  bool build(Writer& out, std::uint32_t sender_ssrc, std::uint32_t media_ssrc, TimeNs now);

 private:
  [[nodiscard]] TimeNs& arrival(std::int64_t ext_seq) {
    return arrivals_[static_cast<std::size_t>(ext_seq) & (kWindow - 1)];
  }

  TwccConfig config_;
  std::vector<TimeNs> arrivals_;  // kWindow, 0 = not received; allocated at the first packet
  SeqUnwrapper unwrapper_;
  std::int64_t base_ = 0;    // oldest number that waits to be reported
  std::int64_t end_ = 0;     // one past the highest received
  std::int64_t oldest_ = 0;  // oldest number still in the window
  TimeNs last_built_ = 0;
  std::uint16_t waiting_ = 0;
  std::uint8_t feedback_count_ = 0;
  bool started_ = false;
};

}  // namespace parley
