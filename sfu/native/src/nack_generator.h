// Decides which missing packets of one encoding to ask for, and when.
// Thread: the worker that owns the track. Figures: first request after a reorder grace, then RTT-based backoff,
// at most 10 tries and 1 s; and no more requests than packets came, so that repair at most doubles the publisher's
// traffic. Source: RFC 4585 section 6.2.1.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "units.h"

namespace parley {

struct NackConfig {
  TimeNs reorder_grace = 12 * kMillisecond;
  TimeNs min_interval = 20 * kMillisecond;
  TimeNs max_interval = 400 * kMillisecond;
  TimeNs max_age = 1 * kSecond;
  std::uint8_t max_tries = 10;
  std::uint16_t max_missing = 256;  // table bound
  std::uint16_t max_gap = 128;      // a larger hole is not repaired: reset and ask for a keyframe
  std::uint16_t max_credit = 256;   // requests that may be saved up; each packet that comes earns one
};

enum class NackOutcome : std::uint8_t {
  kFirst,      // first packet of the encoding
  kInOrder,    // next expected
  kGap,        // packets before it are missing now
  kRecovered,  // was missing
  kOld,        // neither expected nor missing: duplicate, or given up on
  kReset,      // hole too large: table cleared; ask for a keyframe
};

class NackGenerator {
 public:
  explicit NackGenerator(const NackConfig& config = {});

  // Every packet of the encoding, RTX-repaired and padding-only ones included.
  NackOutcome receive(std::int64_t ext_seq, TimeNs now);

  // Fills `out` with the sequence numbers (ascending) whose request is due, and counts them as tried. Entries past
  // their tries or age are dropped first; what the credit does not cover stays due. `rtt` 0 = unknown (100 ms assumed).
  // Call at `deadline()`.
  std::size_t poll(TimeNs now, TimeNs rtt, std::span<std::uint16_t> out);

  // When the next request falls due; kNever when nothing is missing.
  [[nodiscard]] TimeNs deadline() const { return deadline_; }
  [[nodiscard]] std::size_t missing() const { return missing_.size(); }
  [[nodiscard]] std::uint64_t given_up() const { return given_up_; }
  void reset();

 private:
  struct Missing {
    std::int64_t ext_seq;
    TimeNs since;
    TimeNs due;
    std::uint8_t tries;
  };
  void earn();
  void update_deadline();

  NackConfig config_;
  std::vector<Missing> missing_;  // ascending, capacity fixed at construction
  std::int64_t highest_ = 0;
  TimeNs deadline_ = kNever;
  std::uint64_t given_up_ = 0;
  std::uint16_t credit_;
  bool started_ = false;
};

}  // namespace parley
