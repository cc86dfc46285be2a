// A path to try the estimator on, in virtual time: a bottleneck, a delay each way, random loss and jitter, perhaps a
// flow that competes, a receiver that returns transport-wide feedback (the core's own TwccRecorder), and a sender that
// paces media at the estimate, or at what its source has. Thread: one test.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <vector>

#include "bottleneck.h"
#include "bwe/estimator.h"
#include "rival_flow.h"
#include "rtcp_view.h"
#include "twcc_recorder.h"
#include "units.h"

namespace parley::test {

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
      compete();
      note();
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
      compete();
      note();
    }
  }

  // Since the last `count_anew`: the share of the bottleneck's capacity that was carried, 0..1, the queueing delay that
  // 95 of 100 packets stayed under, and the share of packets that were lost.
  [[nodiscard]] double used() const { return static_cast<double>(carried_) * 8 / capacity_bits_; }
  [[nodiscard]] double lost() const { return sent_ == 0 ? 0 : static_cast<double>(lost_) / static_cast<double>(sent_); }
  TimeNs queueing_p95() {
    if (queued_.empty()) {
      return 0;
    }
    std::ranges::sort(queued_);
    return queued_[queued_.size() * 95 / 100];
  }
  void count_anew() {
    carried_ = sent_ = lost_ = 0;
    capacity_bits_ = 0;
    queued_.clear();
    lowest = kMaxBps;
    highest = 0;
  }

  BandwidthEstimator estimator;
  PathConfig path;
  TimeNs now = kSecond;
  std::optional<RivalFlow> rival;
  double lowest = kMaxBps;  // estimates since `count_anew`
  double highest = 0;

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

  void note() {
    lowest = std::min(lowest, estimator.bps());
    highest = std::max(highest, estimator.bps());
    const double bps = path.policed_bps > 0 ? path.policed_bps : path.bps;
    capacity_bits_ += bps * seconds(kStep);
  }

  void compete() {
    if (rival) {
      rival->send(now, neck_.waiting(path, now), [&](const auto& packet) { return neck_.enter(path, packet); });
    }
  }

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
    ++sent_;
    if (std::uniform_real_distribution<>(0, 1)(random_) < path.loss ||
        !neck_.enter(path, {.flow = 0, .number = seq, .bytes = kPacket, .entered = now})) {
      ++lost_;
    }
  }

  void leave(const Bottleneck::Packet& packet, TimeNs when, TimeNs waited) {
    if (packet.flow == RivalFlow::kFlow) {
      if (rival) {
        rival->left(packet, when);
      }
      return;
    }
    queued_.push_back(waited);
    carried_ += packet.bytes;
    TimeNs arrives = when + path.one_way;
    if (path.jitter > 0) {
      arrives += std::uniform_int_distribution<TimeNs>(0, path.jitter)(random_);
    }
    last_arrival_ = std::max(last_arrival_, arrives);
    forward_.push_back({last_arrival_, static_cast<std::uint16_t>(packet.number)});
  }

  void deliver() {
    neck_.serve(path, now, [&](const auto& packet, TimeNs when, TimeNs waited) { leave(packet, when, waited); });
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
  Bottleneck neck_;
  TimeNs last_arrival_ = 0;
  std::vector<TimeNs> queued_;
  std::uint64_t carried_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t lost_ = 0;
  double capacity_bits_ = 0;
};

}  // namespace parley::test
