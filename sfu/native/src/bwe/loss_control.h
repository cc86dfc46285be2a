// The loss-based limit. Loss up to a tenth is taken for the path's own (radio, policing of bursts): repair handles it,
// and the delay decides. Above, the limit falls with the loss; it comes back as the loss ends.
// Thread: the worker that owns the transport. Source: draft-ietf-rmcat-gcc-02 section 6 (the 10 % bound and the cut).
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "units.h"

namespace parley {

class LossControl {
 public:
  static constexpr double kCongested = 0.10;
  static constexpr TimeNs kWindow = 500 * kMillisecond;
  static constexpr std::uint32_t kMinPackets = 20;

  // A feedback's packets. `rate_bps`: the delay-based rate that holds at present, `rtt` 0 unknown.
  void receive(std::uint32_t received, std::uint32_t lost, double rate_bps, TimeNs rtt, TimeNs now);

  // A probe has shown that at least so much gets through.
  void raise_to(double bps) { limit_ = std::max(limit_, bps); }

  // Bits a second; infinity when loss limits nothing.
  [[nodiscard]] double limit_bps() const { return limit_; }
  // Of the last full window, 0..1.
  [[nodiscard]] double loss() const { return loss_; }

 private:
  double limit_ = std::numeric_limits<double>::infinity();
  double loss_ = 0;
  std::uint32_t received_ = 0;
  std::uint32_t lost_ = 0;
  TimeNs window_start_ = 0;
  TimeNs cut_at_ = 0;
};

}  // namespace parley
