// A flow that competes at a bottleneck, as TCP Reno would: slow start, one packet more a round trip, half at a loss; it
// always has something to send, and fills whatever queue there is.
// Thread: one test. Source: RFC 5681 section 3.1.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>

#include "bottleneck.h"
#include "units.h"

namespace parley::test {

class RivalFlow {
 public:
  static constexpr int kFlow = 1;
  static constexpr std::uint32_t kPacket = 1200;

  explicit RivalFlow(TimeNs round_trip) : round_trip_(round_trip) {}

  // Sends what the window lets out; `enter` as the bottleneck's.
  template <class Enter>
  void send(TimeNs now, TimeNs waiting, const Enter& enter) {
    while (!told_.empty() && told_.front().when <= now) {
      take(told_.front(), now);
      told_.pop_front();
    }
    while (static_cast<double>(in_flight_) < window_) {
      ++in_flight_;
      if (!enter(Bottleneck::Packet{.flow = kFlow, .number = 0, .bytes = kPacket, .entered = now})) {
        // Those behind it tell of the hole, a queue and a round trip later.
        note({.when = now + waiting + round_trip_, .sent = now, .is_lost = true});
      }
    }
  }
  void left(const Bottleneck::Packet& packet, TimeNs when) {
    carried_ += packet.bytes;
    note({.when = when + round_trip_, .sent = packet.entered, .is_lost = false});
  }
  // Bytes that passed since the last call.
  std::uint64_t carried() { return std::exchange(carried_, 0); }

 private:
  struct Told {
    TimeNs when;
    TimeNs sent;
    bool is_lost;
  };
  void note(const Told& told) {
    const auto later = [&](const Told& other) { return other.when > told.when; };
    told_.insert(std::ranges::find_if(told_, later), told);
  }
  void take(const Told& told, TimeNs now) {
    --in_flight_;
    if (!told.is_lost) {
      window_ += window_ < threshold_ ? 1 : 1 / window_;
    } else if (told.sent > cut_at_) {
      threshold_ = window_ = std::max(2.0, window_ / 2);
      cut_at_ = now;
    }
  }

  TimeNs round_trip_;
  std::deque<Told> told_;
  double window_ = 10;
  double threshold_ = 1e9;
  std::uint64_t in_flight_ = 0;
  std::uint64_t carried_ = 0;
  TimeNs cut_at_ = 0;
};

}  // namespace parley::test
