// The narrow place of a path, in virtual time: a policer if there is one (a token bucket without a queue), then one
// drop-tail queue, served at a rate that may change at any time, and shared by several flows.
// Thread: one test.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "units.h"

namespace parley::test {

struct PathConfig {
  double bps = 1'000'000;
  TimeNs one_way = 25 * kMillisecond;
  TimeNs max_queue = 400 * kMillisecond;
  double loss = 0;
  TimeNs jitter = 0;  // uniform, order kept
  std::uint64_t seed = 1;
  double policed_bps = 0;  // 0: no policer
  double policed_burst_bytes = 16'000;
};

class Bottleneck {
 public:
  struct Packet {
    int flow = 0;
    std::uint64_t number = 0;
    std::uint32_t bytes = 0;
    TimeNs entered = 0;
  };

  // False: the packet is lost here. `config` may have changed since the last call.
  bool enter(const PathConfig& config, const Packet& packet) {
    if (config.policed_bps > 0 && !conforms(config, packet)) {
      return false;
    }
    if (waiting(config, packet.entered) > config.max_queue) {
      return false;
    }
    queue_.push_back(packet);
    bytes_ += packet.bytes;
    return true;
  }

  // Calls `leave(packet, when, how long it waited)` for everything whose turn has come by `now`.
  template <class Leave>
  void serve(const PathConfig& config, TimeNs now, const Leave& leave) {
    while (!queue_.empty() && std::max(free_at_, queue_.front().entered) <= now) {
      const Packet packet = queue_.front();
      queue_.pop_front();
      bytes_ -= packet.bytes;
      const TimeNs starts = std::max(free_at_, packet.entered);
      free_at_ = starts + transmission(config, packet.bytes);
      leave(packet, free_at_, starts - packet.entered);
    }
  }

  [[nodiscard]] TimeNs waiting(const PathConfig& config, TimeNs now) const {
    return std::max<TimeNs>(0, free_at_ - now) + transmission(config, bytes_);
  }

 private:
  static TimeNs transmission(const PathConfig& config, std::uint64_t bytes) {
    return static_cast<TimeNs>(static_cast<double>(bytes) * 8 / config.bps * static_cast<double>(kSecond));
  }
  bool conforms(const PathConfig& config, const Packet& packet) {
    const double elapsed = static_cast<double>(packet.entered - filled_at_) / static_cast<double>(kSecond);
    tokens_ = std::min(config.policed_burst_bytes, tokens_ + config.policed_bps / 8 * elapsed);
    filled_at_ = packet.entered;
    if (tokens_ < packet.bytes) {
      return false;
    }
    tokens_ -= packet.bytes;
    return true;
  }

  std::deque<Packet> queue_;
  std::uint64_t bytes_ = 0;
  TimeNs free_at_ = 0;
  double tokens_ = 0;
  TimeNs filled_at_ = 0;
};

}  // namespace parley::test
