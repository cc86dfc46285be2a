// A worker's side of every link: shares the packets of its tracks with other workers, and takes those of theirs, as if
// they had been received here: stored, gated, numbered and repaired for this worker's own subscribers.
// Thread: the worker that owns it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "fanout.h"
#include "keyframe_requests.h"
#include "registry.h"
#include "track.h"
#include "track_link.h"
#include "units.h"
#include "worker_context.h"
#include "worker_door.h"

namespace parley {

class TrackLinks {
 public:
  TrackLinks(WorkerContext& context, WorkerDoor& door, Fanout& fanout, KeyframeRequests& keyframes)
      : context_(context), door_(door), fanout_(fanout), keyframes_(keyframes) {}

  // At home: from now on the link gets what the track receives.
  void begin(Track& track, std::shared_ptr<TrackLink> link);
  void end(Track& track, const TrackLink& link);
  // Away: the track's packets come by its link; some may wait already.
  void follow(Track& track, TimeNs now);

  // At home: a packet, or a publisher's report, that was accepted.
  void share(Track& track, const Packet& packet, bool codec_changed);
  void share(Track& track, std::uint8_t encoding, const SenderInfo& report, TimeNs now);

  // Takes what other workers have for this one.
  void receive(TimeNs now);
  // Tells other workers what was shared since the last time: with this worker's own batch, so that one wake and one
  // batch over there serve all of it.
  void flush();
  // Encodings of tracks from elsewhere that fall silent.
  void tick(TimeNs now);

  // The track is about to go.
  void forget(const Track& track);

 private:
  static constexpr TimeNs kTick = 100 * kMillisecond;

  struct Linked {
    Track* track = nullptr;
    TrackLink* link = nullptr;
  };

  void push(TrackLink& link, const TrackLink::Item& item);
  void receive_items(Track& track, TrackLink& link, TimeNs now);
  void receive_packet(Track& track, const SharedPacket& shared, TimeNs now);
  void receive_wishes(Track& track, TrackLink& link, TimeNs now);
  Linked& linked(std::uint32_t slot);

  WorkerContext& context_;
  WorkerDoor& door_;
  Fanout& fanout_;
  KeyframeRequests& keyframes_;
  std::vector<Linked> by_slot_;
  std::vector<Track*> followed_;  // from elsewhere
  std::vector<TrackLink*> untold_;
  TimeNs next_tick_ = 0;
};

}  // namespace parley
