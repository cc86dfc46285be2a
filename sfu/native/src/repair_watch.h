// The repairs that left for one viewer lately, by transport-wide number: feedback tells of one that gets lost, too. A
// browser asks but once for what no later picture needs, so that nobody else would repeat it.
// Thread: the worker that owns the transport.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "units.h"

namespace parley {

class RepairWatch {
 public:
  // At a loss of 10 % of 4 Mb/s, those of a second.
  static constexpr std::size_t kWatched = 64;

  struct Repair {
    std::uint32_t forward = 0;  // 0: none
    std::uint16_t seq = 0;      // what is repaired, as it was sent first
    std::uint16_t number = 0;   // transport-wide, of the repair
    TimeNs sent = 0;
  };

  void sent(const Repair& repair) {
    ring_[next_] = repair;
    next_ = (next_ + 1) % kWatched;
  }
  // The repair that left under a number, once; nothing when something else did.
  std::optional<Repair> take(std::uint16_t number) {
    const auto found = std::ranges::find_if(
        ring_, [number](const Repair& repair) { return repair.forward != 0 && repair.number == number; });
    if (found == ring_.end()) {
      return std::nullopt;
    }
    const Repair repair = *found;
    *found = {};
    return repair;
  }

 private:
  std::array<Repair, kWatched> ring_{};
  std::size_t next_ = 0;
};

}  // namespace parley
