// The engine as the offering side: receives at full rate for measuring (generator.h sends). For bench and tests.
// Thread: the worker that owns it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "bytes.h"
#include "extension_ids.h"
#include "nack_generator.h"
#include "receive_stats.h"
#include "rtp_view.h"
#include "seq.h"
#include "transport.h"
#include "units.h"
#include "worker_context.h"

namespace parley {

// The last bytes of a generated payload: what a receiver needs to judge the way.
struct SendStamp {
  static constexpr std::size_t kBytes = 16;
  static constexpr std::uint32_t kMagic = 0x9e3779b9;

  std::uint32_t count = 0;  // packets of this generator so far
  TimeNs sent = 0;

  void write(MutableBytes payload_end) const;
  static std::optional<SendStamp> read(Bytes payload);
};

// Latencies in steps of 1/16 of their power of two, from 1 us to 17 s.
class LatencyHistogram {
 public:
  void add(TimeNs latency);
  void add(const LatencyHistogram& other);
  [[nodiscard]] TimeNs quantile(double q) const;  // 0 when empty
  [[nodiscard]] std::uint64_t count() const { return count_; }
  void reset() { *this = LatencyHistogram{}; }

 private:
  static constexpr std::size_t kSteps = 16;
  static constexpr std::size_t kBuckets = 25 * kSteps;

  std::array<std::uint32_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
};

// The transport-wide number of a packet that is still encrypted: header extensions are in the clear.
std::optional<std::uint16_t> twcc_seq_in_the_clear(Bytes datagram, const ExtensionIds& ids);

// What one client transport receives. Without receive keys it only counts datagrams: a load generator's other half.
class ClientReceiver {
 public:
  static constexpr std::size_t kMaxSources = 64;
  static constexpr std::size_t kMaxHeld = 512;

  ClientReceiver(std::uint16_t loss_permille, std::int16_t rtx_pt) : loss_permille_(loss_permille), rtx_pt_(rtx_pt) {}

  // Media that overtook the keys, which are still being made: kept as a socket's buffer would keep it. False: no room.
  bool hold(Bytes datagram);
  [[nodiscard]] std::vector<std::vector<std::uint8_t>> take_held() { return std::exchange(held_, {}); }

  // The bad network throws this packet away.
  [[nodiscard]] bool loses_next(WorkerContext& context) const;
  void receive_rtp(Transport& transport, MutableBytes datagram, TimeNs now, WorkerContext& context);
  void receive_rtcp(Transport& transport, Bytes compound, TimeNs now);
  // Receiver reports, once a second.
  void tick(Transport& transport, TimeNs now, WorkerContext& context);

  // A keyframe was asked of this SSRC since the last call.
  bool take_keyframe_request(std::uint32_t ssrc);

  [[nodiscard]] std::uint64_t received() const { return received_; }
  [[nodiscard]] std::uint64_t checked() const { return checked_; }
  [[nodiscard]] std::int64_t lost() const;
  [[nodiscard]] TimeNs first_packet() const { return first_packet_; }
  [[nodiscard]] std::uint64_t repaired() const { return repaired_; }
  [[nodiscard]] std::uint64_t asked_keyframes() const;
  [[nodiscard]] std::uint64_t asked_keyframes(std::uint32_t ssrc) const;
  [[nodiscard]] LatencyHistogram& latency() { return latency_; }
  // Of the packets that end a frame: a decoder waits for no other.
  [[nodiscard]] LatencyHistogram& frames() { return frames_; }

 private:
  struct Source {
    std::uint32_t ssrc = 0;
    SeqUnwrapper seqs;
    ReceiveStats stats{90'000};
    NackGenerator nack;
  };
  Source* source_of(std::uint32_t ssrc);
  void take_repair(const RtpView& rtx, TimeNs now);
  void ask_for_missing(Transport& transport, TimeNs now, WorkerContext& context);

  std::vector<std::vector<std::uint8_t>> held_;
  std::vector<Source> sources_;
  std::vector<std::uint32_t> keyframe_requests_;
  LatencyHistogram latency_;
  LatencyHistogram frames_;
  std::uint16_t loss_permille_;
  std::int16_t rtx_pt_;
  std::uint64_t received_ = 0;
  std::uint64_t repaired_ = 0;
  std::uint64_t checked_ = 0;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> asked_keyframes_;  // by SSRC
  TimeNs first_packet_ = 0;
  TimeNs next_report_ = 0;
};

}  // namespace parley
