// What the path itself delivers: while its queue holds packets, they arrive at its own rate, however little is sent in
// the mean. A queue shows by delays above the shortest one.
// Thread: the worker that owns the transport. Source: packet trains, Dovrolis et al., IEEE/ACM ToN 12(6), 2004.
#pragma once

#include <cstdint>
#include <optional>

#include "units.h"

namespace parley {

class BusyRate {
 public:
  static constexpr TimeNs kQueued = 8 * kMillisecond;     // a delay so far above the floor waited behind others
  static constexpr TimeNs kTelling = 40 * kMillisecond;   // a shorter train tells little
  static constexpr TimeNs kLongest = 300 * kMillisecond;  // then a new one begins: the path changes
  static constexpr std::uint32_t kPackets = 6;

  // A packet of `bytes` arrived at `arrived` (the receiver's clock), `above` the shortest delay.
  void receive(std::uint32_t bytes, TimeNs arrived, TimeNs above) {
    if (above < kQueued || (is_busy_ && arrived < start_)) {
      is_busy_ = false;
      return;
    }
    if (!is_busy_) {
      begin(arrived);
      told_ = 0;
      return;
    }
    bytes_ += bytes;
    ++packets_;
    const TimeNs length = arrived - start_;
    if (length >= kTelling && packets_ >= kPackets) {
      told_ = static_cast<double>(bytes_) * 8 * static_cast<double>(kSecond) / static_cast<double>(length);
    }
    if (length >= kLongest) {
      begin(arrived);
    }
  }

  // Bits a second of the train that arrives now; nothing when the path is not busy, or was not for long enough.
  [[nodiscard]] std::optional<double> bps() const {
    return is_busy_ && told_ > 0 ? std::optional(told_) : std::nullopt;
  }

 private:
  void begin(TimeNs arrived) {
    is_busy_ = true;
    start_ = arrived;
    bytes_ = 0;
    packets_ = 0;
  }

  TimeNs start_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint32_t packets_ = 0;
  double told_ = 0;
  bool is_busy_ = false;
};

}  // namespace parley
