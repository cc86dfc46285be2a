// What was sent under which transport-wide sequence number, until feedback tells its fate.
// The ring starts small and doubles up to kMaxPackets as the packets in flight demand; nothing is allocated at a steady
// rate.
// Thread: the worker that owns the transport. Source: draft-holmer-rmcat-transport-wide-cc-extensions-01.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bwe/packet_result.h"
#include "seq.h"
#include "transport_feedback.h"
#include "units.h"

namespace parley {

class SentHistory {
 public:
  static constexpr std::size_t kMinPackets = 256;
  static constexpr std::size_t kMaxPackets = 8192;
  // What no feedback mentioned for so long does not count as in flight.
  static constexpr TimeNs kLifetime = 10 * kSecond;

  // Packet `seq`, behind all earlier ones, of `bytes` leaves at `now`, as part of probe `cluster` or 0.
  void sent(std::uint16_t seq, std::uint32_t bytes, std::uint16_t cluster, TimeNs now);

  // Fates in sequence order, appended to `out`. A packet is reported received once; a lost one is reported lost once
  // and received later when a later feedback corrects it.
  void feedback(TransportFeedbackReader reader, std::vector<PacketResult>& out);

  // What is in flight no longer matters; its feedback names nothing that is known.
  void forget();

  [[nodiscard]] std::uint64_t bytes_in_flight() const { return in_flight_; }

 private:
  enum class State : std::uint8_t { kEmpty, kInFlight, kLost, kReceived };
  struct Entry {
    TimeNs sent = 0;
    std::int64_t seq = -1;
    std::uint32_t bytes = 0;
    std::uint16_t cluster = 0;
    State state = State::kEmpty;
  };

  [[nodiscard]] Entry& at(std::int64_t seq) { return ring_[static_cast<std::size_t>(seq) & (ring_.size() - 1)]; }
  void make_room(TimeNs now);
  void expire(Entry& entry);
  [[nodiscard]] TimeNs arrival_base(std::uint32_t reference_time);

  std::vector<Entry> ring_;
  std::int64_t next_ = 0;
  std::int64_t oldest_ = 0;  // nothing older is in flight
  std::uint64_t in_flight_ = 0;
  std::int64_t reference_ = -1;  // unwrapped, 64 ms units
};

}  // namespace parley
