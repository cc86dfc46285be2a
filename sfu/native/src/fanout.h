// Sends what arrived on: gathers the packets of a batch per track, then walks subscriber by subscriber, so that each
// one's packets lie together and leave as trains. Taps get the same packets behind their own gates.
// Gates are looked at here, at the last moment before a packet is written out.
// Thread: the worker that owns it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "batch_window.h"
#include "departures.h"
#include "forward.h"
#include "gathered.h"
#include "packet.h"
#include "rtp_write.h"
#include "tap_writer.h"
#include "track.h"
#include "transport.h"
#include "units.h"
#include "worker_context.h"

namespace parley {

class KeyframeRequests;

class Fanout {
 public:
  Fanout(WorkerContext& context, KeyframeRequests& keyframes, Departures& departures, TapWriter& taps);

  // A packet that its encoding has just stored. It begins the coalescing window of an empty batch, of which `waited`
  // has passed: the packet was in another worker's batch for so long.
  void add(Track& track, const Track::Pending& packet, TimeNs now, TimeNs waited = 0);
  // The audio level of the packet that is added next: its track may take a place on its stage, and what came just
  // before goes out with it, so that nobody's first syllable is cut off.
  void hear(Track& track, const Packet& packet, TimeNs now);

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

  // A forward that has sent nothing yet may be able to begin: what its track's store holds for it goes out at once.
  // Where that is nothing a keyframe is asked for, also ahead of the transport's keys, so that it comes meanwhile.
  void welcome(Forward& forward, TimeNs now);

  // Nothing of these may be sent any more (they are about to go). The batch was flushed before.
  void forget(const Track& track);

 private:
  static constexpr std::size_t kGather = 128;
  // Packets of a keyframe that may have overtaken its first one.
  static constexpr std::int64_t kCatchUp = 256;
  // What a track said before it was found to be among the loudest: five usual packets.
  static constexpr std::int64_t kLeadIn = 5;
  static constexpr TimeNs kLeadInAge = 120 * kMillisecond;

  struct Range {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };

  [[nodiscard]] bool is_mid_frame() const;
  void gather(Track& track, TimeNs now);
  void fan_out(TimeNs now);
  // A forward that may get what came from its track in this batch.
  [[nodiscard]] bool is_served(const Track& track, const Forward& forward);
  void serve(Forward& forward, Range range, TimeNs now);
  // Whether the gate is open; where it was not before, what arrived until `since` stays behind.
  bool passes_gate(Forward& forward, TimeNs since);
  void ask_keyframe(const Forward& forward, TimeNs now);
  void serve_packet(Forward& forward, Gathered& gathered, TimeNs now);
  void serve_stored(Forward& forward, const Packet& packet, TimeNs now);
  void switch_source(Forward& forward, Gathered& gathered, bool set_marker, TimeNs now);
  void catch_up(Forward& forward, const Packet& first, std::span<const Gathered> still_to_come, TimeNs now);
  bool send(Forward& forward, Gathered& gathered, const Munged& munged, TimeNs now);
  void refuse_codec(Forward& forward, Codec codec);

  WorkerContext& context_;
  KeyframeRequests& keyframes_;
  Departures& departures_;
  TapWriter& taps_;
  std::vector<Track*> dirty_tracks_;
  std::vector<Transport*> dirty_transports_;
  std::vector<Track*> gathered_tracks_;
  std::vector<Gathered> gathered_;
  std::size_t gathered_count_ = 0;
  Gathered stored_;  // one packet that the batch does not hold
  BatchWindow window_;
};

}  // namespace parley
