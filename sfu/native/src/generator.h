// Client mode's sending half: RTP at a set rate whose payload tells when it was sent. For bench and tests.
// Thread: the worker that owns it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "bytes.h"
#include "commands.h"
#include "events.h"
#include "registry.h"
#include "rtp_write.h"
#include "transport.h"
#include "units.h"
#include "worker_context.h"

namespace parley {

// Sends RTP in bursts: `burst` packets of `size` bytes, a millisecond apart, so many a second on the whole; a burst is
// a frame (one timestamp, marker on its last packet).
class Generator {
 public:
  static constexpr std::size_t kMaxElements = 48;
  static constexpr TimeNs kSpacing = kMillisecond;
  static constexpr TimeNs kKeyframeInterval = 2 * kSecond;

  Generator(const AddGenerator& command, Transport& transport, TimeNs now, std::uint64_t random);

  [[nodiscard]] TimeNs deadline() const { return next_; }
  [[nodiscard]] Transport& transport() { return transport_; }
  [[nodiscard]] StatsMap stats() const;
  // Sends what is due; at most one burst a call.
  void tick(TimeNs now, WorkerContext& context);

 private:
  void send(TimeNs now, WorkerContext& context);
  void send_report(TimeNs now, WorkerContext& context);
  void write_descriptor(MutableBytes payload) const;

  AddGenerator config_;
  Transport& transport_;
  HeaderTemplate::Form header_;
  std::array<std::uint8_t, kMaxElements> elements_{};  // of the header, the rid behind what a forward has
  std::size_t elements_size_ = 0;
  TimeNs period_;   // of a burst
  TimeNs spacing_;  // of packets in it
  TimeNs burst_start_;
  TimeNs next_;
  TimeNs last_keyframe_ = 0;
  TimeNs next_report_ = 0;
  std::uint32_t sent_in_burst_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t octets_ = 0;
  std::uint32_t timestamp_;
  std::uint16_t seq_;
  std::uint16_t picture_id_ = 0;
  bool is_keyframe_ = true;
};

class Generators {
 public:
  static constexpr std::size_t kMax = 4096;

  Refusal add(const AddGenerator& command, Registry& registry, TimeNs now, WorkerContext& context);
  Refusal remove(std::uint32_t track);
  void forget(const Transport& transport);
  [[nodiscard]] TimeNs deadline() const { return deadline_; }
  void tick(TimeNs now, WorkerContext& context);
  [[nodiscard]] const std::vector<Generator*>& list() const { return list_; }

 private:
  void update_deadline();

  std::unordered_map<std::uint32_t, std::unique_ptr<Generator>> by_track_;
  std::vector<Generator*> list_;
  TimeNs deadline_ = kNever;
};

}  // namespace parley
