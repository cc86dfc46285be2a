// Sends what arrived on: gathers the packets of a batch per track, then walks subscriber by subscriber, so that each
// one's packets lie together and leave as trains. Taps get the same packets behind their own gates.
// Gates are looked at here, at the last moment before a packet is written out.
// Thread: the worker that owns it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "batch_window.h"
#include "departures.h"
#include "forward.h"
#include "packet.h"
#include "registry.h"
#include "rtp_write.h"
#include "tap.h"
#include "track.h"
#include "transport.h"
#include "units.h"
#include "worker_context.h"

namespace parley {

class KeyframeRequests;

class Fanout {
 public:
  Fanout(WorkerContext& context, Registry& registry, KeyframeRequests& keyframes, Departures& departures);

  // A packet that its encoding has just stored. It begins the coalescing window of an empty batch, of which `waited` has
  // passed: the packet was in another worker's batch for so long.
  void add(Track& track, const Track::Pending& packet, TimeNs now, TimeNs waited = 0);
  // The audio level of the packet that is added next: its track may take a place on its stage, and what came just before
  // goes out with it, so that nobody's first syllable is cut off.
  void hear(Track& track, const Packet& packet, TimeNs now);
  // A publisher's report for the taps of its track.
  void tap_report(Track& track, std::uint8_t encoding, const SenderInfo& report, TimeNs now);

  // When the batch should go out.
  [[nodiscard]] TimeNs deadline() const { return window_.deadline(); }
  // Whether it goes out now; a frame whose end is still to come may put it off.
  [[nodiscard]] bool is_due(TimeNs now) { return window_.is_due(now, is_mid_frame()); }
  [[nodiscard]] bool is_empty() const { return dirty_tracks_.empty(); }

  // How long the worker was busy in its last loop; sets the window from now on.
  void note_busy(TimeNs busy, TimeNs now) {
    window_.note_busy(busy, context_.counters.get(Counter::rtp_forwarded), now);
  }

  // Sends the batch. Afterwards nothing admitted is in any buffer of the worker.
  void flush(TimeNs now);

  // A forward that has sent nothing yet may be able to begin: what its track's store holds for it goes out at once. Where
  // that is nothing a keyframe is asked for, also ahead of the transport's keys, so that it comes meanwhile.
  void welcome(Forward& forward, TimeNs now);

  // One NACKed packet by RTX, within the forward's budget. Gated like the packet itself.
  void resend(Forward& forward, std::uint16_t seq, TimeNs now);

  // Nothing of these may be sent any more (they are about to go). The batch was flushed before.
  void forget(const Track& track);

 private:
  static constexpr std::size_t kGather = 128;
  // Packets of a keyframe that may have overtaken its first one.
  static constexpr std::int64_t kCatchUp = 256;
  // What a track said before it was found to be among the loudest: five usual packets.
  static constexpr std::int64_t kLeadIn = 5;
  static constexpr TimeNs kLeadInAge = 120 * kMillisecond;

  struct Gathered {
    const Packet* packet = nullptr;
    bool codec_changed = false;
    bool is_lead_in = false;
    ExtensionPlanner planner;
  };
  struct Range {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };

  [[nodiscard]] bool is_mid_frame() const;
  void gather(Track& track, TimeNs now);
  void fan_out(TimeNs now);
  void serve(Forward& forward, Range range, TimeNs now);
  bool passes_gate(Forward& forward, TimeNs now);
  void ask_keyframe(const Forward& forward, TimeNs now);
  void serve_packet(Forward& forward, Gathered& gathered, TimeNs now);
  void serve_stored(Forward& forward, const Packet& packet, TimeNs now);
  void switch_source(Forward& forward, Gathered& gathered, bool set_marker, TimeNs now);
  void catch_up(Forward& forward, const Packet& first, std::span<const Gathered> still_to_come, TimeNs now);
  bool send(Forward& forward, Gathered& gathered, const Munged& munged, TimeNs now);
  void serve_tap(Tap& tap, Range range);
  void append_record(Tap& tap, const TapRecord& record, Bytes body);
  void flush_sink(Sink& sink);
  void flush_sinks();
  void refuse_codec(Forward& forward, Codec codec);

  WorkerContext& context_;
  Registry& registry_;
  KeyframeRequests& keyframes_;
  Departures& departures_;
  std::vector<Track*> dirty_tracks_;
  std::vector<Transport*> dirty_transports_;
  std::vector<Track*> gathered_tracks_;
  std::vector<Sink*> dirty_sinks_;
  std::vector<Gathered> gathered_;
  std::size_t gathered_count_ = 0;
  Gathered stored_;  // one packet that the batch does not hold
  std::array<std::uint8_t, kMaxPacketSize> plain_{};  // what a tap gets of RED
  ExtensionPlanner resend_planner_;
  BatchWindow window_;
};

}  // namespace parley
