// How many bits a second arrive at the receiver, measured over its own clock.
// Thread: the worker that owns the transport.
#pragma once

#include <cstdint>
#include <optional>

#include "units.h"

namespace parley {

class AckedRate {
 public:
  static constexpr TimeNs kFirstWindow = 300 * kMillisecond;
  static constexpr TimeNs kWindow = 150 * kMillisecond;
  static constexpr TimeNs kTelling = 60 * kMillisecond;

  // A packet of `bytes` arrived at `arrived` (the receiver's clock; in order but for small displacements).
  void receive(std::uint32_t bytes, TimeNs arrived);

  // Bits a second; nothing before the first window is full.
  [[nodiscard]] std::optional<double> bps() const { return has_rate_ ? std::optional(rate_) : std::nullopt; }
  // While the path's queue fills it delivers all that it can: the last window tells that, or the open one when it is
  // long enough, and not what came before.
  [[nodiscard]] std::optional<double> filled_bps() const;

 private:
  void close_window(TimeNs length);
  [[nodiscard]] double sample(TimeNs length) const;

  TimeNs start_ = 0;
  TimeNs last_ = 0;
  std::uint64_t bytes_ = 0;
  double rate_ = 0;
  double last_sample_ = 0;
  bool is_started_ = false;
  bool has_rate_ = false;
};

}  // namespace parley
