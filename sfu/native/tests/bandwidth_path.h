// A path to try the estimator on, in virtual time: a bottleneck with a drop-tail queue, a delay each way, random loss and
// jitter, a receiver that returns transport-wide feedback (the core's own TwccRecorder), and a sender that paces media at
// the estimate, or at what its source has.
// Thread: one test.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <vector>

#include "bwe/estimator.h"
#include "rtcp_view.h"
#include "twcc_recorder.h"
#include "units.h"

namespace parley::test {

struct PathConfig {
  double bps = 1'000'000;
  TimeNs one_way = 25 * kMillisecond;
  TimeNs max_queue = 400 * kMillisecond;
  double loss = 0;
  TimeNs jitter = 0;  // uniform, order kept
  std::uint64_t seed = 1;
};

class BandwidthPath {
 public:
  explicit BandwidthPath(const PathConfig& config, double start_bps = kStartBps)
      : estimator(start_bps), path(config), random_(config.seed) {}

  // Runs `length` of virtual time; media of `source_bps` at most (an encoder that follows the estimate).
  void run(TimeNs length, double source_bps) {
    estimator.set_wanted(source_bps);
    for (const TimeNs end = now + length; now < end; now += kStep) {
      deliver();
      estimator.tick(now);
      pace(std::min(source_bps, estimator.bps()));
      probe();
    }
  }

  // Runs `length` of virtual time with media that does not follow the estimate: `source_bps` in `fps` large frames a
  // second, paced at 1.5 times the estimate. Probes for `wanted_bps`.
  void run_frames(TimeNs length, double source_bps, double fps, double wanted_bps) {
    estimator.set_wanted(wanted_bps);
    TimeNs next = now;
    for (const TimeNs end = now + length; now < end; now += kStep) {
      deliver();
      estimator.tick(now);
      if (now >= next) {
        waiting_ += source_bps / fps / 8;
        next += static_cast<TimeNs>(static_cast<double>(kSecond) / fps);
      }
      budget_ = std::min(budget_ + 1.5 * estimator.bps() / 8 * seconds(kStep), 4.0 * kPacket);
      while (budget_ >= kPacket && waiting_ >= kPacket) {
        budget_ -= kPacket;
        waiting_ -= kPacket;
        send(0);
      }
      probe();
      lowest = std::min(lowest, estimator.bps());
    }
  }

  // Of what was offered to the bottleneck since the last call: the share of its capacity that was carried, 0..1, and the
  // queueing delay that 95 of 100 packets stayed under.
  double used() { return static_cast<double>(carried_) * 8 / (path.bps * seconds(now - counted_from_)); }
  TimeNs queueing_p95() {
    if (queued_.empty()) {
      return 0;
    }
    std::ranges::sort(queued_);
    return queued_[queued_.size() * 95 / 100];
  }
  void count_anew() {
    carried_ = 0;
    queued_.clear();
    counted_from_ = now;
  }

  BandwidthEstimator estimator;
  PathConfig path;
  TimeNs now = kSecond;
  double lowest = kMaxBps;  // estimate since it was last set

 private:
  static constexpr TimeNs kStep = kMillisecond;
  static constexpr std::uint32_t kPacket = 1000;

  struct InFlight {
    TimeNs arrives;
    std::uint16_t seq;
  };
  struct Report {
    TimeNs arrives;
    std::vector<std::uint8_t> bytes;
  };

  static double seconds(TimeNs time) { return static_cast<double>(time) / static_cast<double>(kSecond); }

  double waiting_ = 0;

  void pace(double bps) {
    budget_ = std::min(budget_ + bps / 8 * seconds(kStep), 4.0 * kPacket);
    while (budget_ >= kPacket) {
      budget_ -= kPacket;
      send(0);
    }
  }

  void probe() {
    if (probe_left_ <= 0) {
      if (const auto plan = estimator.probe(now)) {
        probe_ = *plan;
        probe_left_ = static_cast<double>(plan->bytes);
        probe_budget_ = kPacket;
      }
    }
    if (probe_left_ > 0) {
      probe_budget_ += probe_.bps / 8 * seconds(kStep);
      while (probe_budget_ >= kPacket && probe_left_ > 0) {
        probe_budget_ -= kPacket;
        probe_left_ -= kPacket;
        send(probe_.cluster);
      }
    }
  }

  void send(std::uint16_t cluster) {
    estimator.sent(next_seq_, kPacket, cluster, now);
    const std::uint16_t seq = next_seq_++;
    const TimeNs queued = std::max<TimeNs>(0, free_at_ - now);
    if (queued > path.max_queue || std::uniform_real_distribution<>(0, 1)(random_) < path.loss) {
      return;
    }
    free_at_ = std::max(free_at_, now) + static_cast<TimeNs>(kPacket * 8 / path.bps * static_cast<double>(kSecond));
    queued_.push_back(queued);
    carried_ += kPacket;
    TimeNs arrives = free_at_ + path.one_way;
    if (path.jitter > 0) {
      arrives += std::uniform_int_distribution<TimeNs>(0, path.jitter)(random_);
    }
    last_arrival_ = std::max(last_arrival_, arrives);
    forward_.push_back({last_arrival_, seq});
  }

  void deliver() {
    while (!forward_.empty() && forward_.front().arrives <= now) {
      receiver_.receive(forward_.front().seq, forward_.front().arrives);
      forward_.pop_front();
    }
    while (receiver_.is_due(now)) {
      std::vector<std::uint8_t> bytes(1200);
      Writer writer(bytes);
      if (!receiver_.build(writer, 1, 2, now)) {
        break;
      }
      bytes.resize(writer.size());
      backward_.push_back({now + path.one_way, std::move(bytes)});
    }
    while (!backward_.empty() && backward_.front().arrives <= now) {
      RtcpReader compound(backward_.front().bytes);
      while (const auto message = compound.next()) {
        if (const auto reader = TransportFeedbackReader::open(*message)) {
          estimator.feedback(*reader, now);
        }
      }
      backward_.pop_front();
    }
  }

  std::mt19937_64 random_;
  TwccRecorder receiver_;
  std::deque<InFlight> forward_;
  std::deque<Report> backward_;
  double budget_ = 0;
  double probe_budget_ = 0;
  double probe_left_ = 0;
  ProbePlan probe_;
  std::uint16_t next_seq_ = 65'000;
  TimeNs free_at_ = 0;
  TimeNs last_arrival_ = 0;
  std::vector<TimeNs> queued_;
  std::uint64_t carried_ = 0;
  TimeNs counted_from_ = kSecond;
};

}  // namespace parley::test
