// A worker's events on their way to Python: two bounded rings, so that a flood of datagrams cannot push out an Ack.
// Thread: filled by the worker; drained by whoever polls the engine (serialised there).
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "bytes.h"
#include "counters.h"
#include "events.h"
#include "spsc_ring.h"
#include "wake.h"

namespace parley {

class EventOutbox {
 public:
  static constexpr std::size_t kControlEvents = 8192;
  static constexpr std::size_t kNetworkEvents = 512;

  EventOutbox(Wake& wake, Counters& counters) : wake_(wake), counters_(counters) {}

  // An eighth of the ring is kept for answers, so that news cannot crowd them out.
  static constexpr std::size_t kAnswerReserve = kControlEvents / 8;

  // A command's answer finds room here: the worker takes no command while this is false.
  [[nodiscard]] bool has_room_for_answer() const { return control_.size() < kControlEvents; }

  // False when the ring is full (counted).
  template <typename Event>
  bool post(Event&& event) {
    using Kind = std::remove_cvref_t<Event>;
    constexpr bool kIsAnswer = std::is_same_v<Kind, AckEvent> || std::is_same_v<Kind, StatsEvent>;
    const bool has_room = kIsAnswer || control_.size() < kControlEvents - kAnswerReserve;
    ControlEvent* slot = has_room ? control_.claim() : nullptr;
    if (slot == nullptr) {
      counters_.add(Counter::drop_event_full);
      return false;
    }
    *slot = std::forward<Event>(event);
    control_.publish();
    wake_.notify();
    return true;
  }

  // The caller has checked that `data` fits. False when the ring is full (counted).
  bool post_datagram(bool is_stun, std::uint32_t transport, const PathId& path, Bytes data) {
    NetworkEvent* slot = network_.claim();
    if (slot == nullptr || data.size() > NetworkEvent::kMaxBytes) {
      counters_.add(Counter::drop_event_network_full);
      return false;
    }
    slot->is_stun = is_stun;
    slot->transport = transport;
    slot->path = path;
    slot->size = static_cast<std::uint16_t>(data.size());
    std::ranges::copy(data, slot->data.begin());
    network_.publish();
    wake_.notify();
    return true;
  }

  [[nodiscard]] SpscRing<ControlEvent>& control() { return control_; }
  [[nodiscard]] SpscRing<NetworkEvent>& network() { return network_; }

 private:
  Wake& wake_;
  Counters& counters_;
  SpscRing<ControlEvent> control_{kControlEvents};
  SpscRing<NetworkEvent> network_{kNetworkEvents};
};

}  // namespace parley
