// The last step of a media packet: stamped, protected and put into the send arena, at once or when the viewer's pacer
// lets it go. Keeps each viewer's estimate fed, and sends its probes. What waits leaves only while the gate position
// that it was admitted under is still open. Thread: the worker that owns it.
#pragma once

#include <cstdint>
#include <vector>

#include "bwe/slot_pool.h"
#include "forward.h"
#include "registry.h"
#include "rtp_write.h"
#include "transport.h"
#include "transport_feedback.h"
#include "units.h"
#include "worker_context.h"

namespace parley {

class Departures {
 public:
  // Packets that wait in one worker, over all viewers.
  static constexpr std::uint32_t kMaxHeld = 8192;

  Departures(WorkerContext& context, Registry& registry)
      : context_(context), registry_(registry), pool_(kMaxHeld), blank_plan_() {}

  // Sends `packet` (at the start of the arena's last claim, RTP in the clear) or lets it wait. False: it was dropped.
  bool send(Forward& forward, MutableBytes claimed, std::size_t size, StampOffsets stamps, TimeNs now);
  // The same at once, whatever waits: sound and repairs.
  bool send_now(Forward& forward, MutableBytes claimed, std::size_t size, StampOffsets stamps, TimeNs now);

  // More comes now than the path may carry at once: for a while video goes through the viewer's pacer, also where
  // nothing is known of the path yet.
  static void spread(Transport& transport, TimeNs now);

  // The viewer's feedback on what it received.
  void feedback(Transport& transport, const TransportFeedbackReader& reader, TimeNs now);
  // Several times a second for every transport.
  void visit(Transport& transport, TimeNs now);

  [[nodiscard]] TimeNs deadline() const { return working_.empty() ? kNever : next_tick_; }
  void tick(TimeNs now);

  void forget(Transport& transport);

 private:
  static constexpr TimeNs kTick = 2 * kMillisecond;
  static constexpr TimeNs kSpread = kSecond;
  static constexpr TimeNs kMinEventInterval = 100 * kMillisecond;
  static constexpr TimeNs kMaxEventInterval = kSecond;
  static constexpr double kWorthTelling = 0.05;
  static constexpr std::uint32_t kUdpOverhead = 28;  // IPv4 and UDP headers, per packet
  static constexpr std::size_t kPaddingBytes = 255;

  bool depart(Transport& transport, MutableBytes claimed, std::size_t size, StampOffsets stamps, std::uint16_t cluster,
              TimeNs now);
  void list(Transport& transport, TimeNs now);
  void release(Transport& transport, TimeNs now);
  void start_probe(Transport& transport, TimeNs now);
  void send_probe(Transport& transport, TimeNs now);
  bool send_padding(Transport& transport, TimeNs now);
  void tell(Transport& transport, TimeNs now);
  [[nodiscard]] bool may_leave(const HeldPacket& held) const;

  WorkerContext& context_;
  Registry& registry_;
  SlotPool pool_;
  ExtensionPlan blank_plan_;
  std::vector<Transport*> working_;
  TimeNs next_tick_ = 0;
};

}  // namespace parley
