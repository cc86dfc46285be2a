// Asks publishers for keyframes: coalesced and throttled per encoding, repeated until one comes. For a track that
// another worker receives the wish goes there, and is coalesced with its own.
// Thread: the worker that owns it.
#pragma once

#include <cstdint>
#include <vector>

#include "track.h"
#include "transport.h"
#include "units.h"
#include "worker_context.h"

namespace parley {

class KeyframeRequests {
 public:
  explicit KeyframeRequests(WorkerContext& context) : context_(context) {}

  // Somebody needs a keyframe of this encoding. Nothing happens for audio, or before its first packet.
  void request(Encoding& encoding, TimeNs now);
  // The same for every encoding of a track that sends.
  void request_all(Track& track, TimeNs now);
  // Repeats and scheduled requests.
  void tick(TimeNs now);
  [[nodiscard]] TimeNs deadline() const;
  void forget(const Track& track);

 private:
  void send(Encoding& encoding);
  void watch(Encoding& encoding);

  WorkerContext& context_;
  std::vector<Encoding*> waiting_;
};

}  // namespace parley
