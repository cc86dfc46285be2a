#include "keyframe_requests.h"

#include <algorithm>

#include "rtcp_sender.h"
#include "tap.h"

namespace parley {

void KeyframeRequests::request(Encoding& encoding, TimeNs now) {
  if (!encoding.track.is_video || !encoding.has_sent) {
    return;
  }
  if (encoding.keyframes.request(now)) {
    send(encoding);
  } else {
    context_.counters.add(Counter::keyframe_requests_absorbed);
  }
  watch(encoding);
}

void KeyframeRequests::request_all(Track& track, TimeNs now) {
  for (const auto& encoding : track.encodings) {
    request(*encoding, now);
  }
}

void KeyframeRequests::watch(Encoding& encoding) {
  if (encoding.keyframes.is_waiting() && !encoding.awaits_keyframe) {
    encoding.awaits_keyframe = true;
    waiting_.push_back(&encoding);
  }
}

void KeyframeRequests::tick(TimeNs now) {
  std::erase_if(waiting_, [&](Encoding* encoding) {
    if (encoding->keyframes.tick(now)) {
      send(*encoding);
    }
    encoding->awaits_keyframe = encoding->keyframes.is_waiting();
    return !encoding->awaits_keyframe;
  });
}

TimeNs KeyframeRequests::deadline() const {
  TimeNs earliest = kNever;
  for (const Encoding* encoding : waiting_) {
    earliest = std::min(earliest, encoding->keyframes.deadline());
  }
  return earliest;
}

void KeyframeRequests::forget(const Track& track) {
  std::erase_if(waiting_, [&](const Encoding* encoding) { return &encoding->track == &track; });
}

void KeyframeRequests::send(Encoding& encoding) {
  if (encoding.track.origin != nullptr) {
    encoding.track.origin->wish_keyframe(encoding.index);
    return;
  }
  Transport& publisher = *encoding.track.publisher;
  if (publisher.injector != nullptr) {
    const TapRecord wish{.kind = TapKind::kKeyframeWish, .encoding_index = encoding.index, .ssrc = encoding.ssrc};
    if (publisher.injector->socket.send_alone(wish)) {
      context_.counters.add(Counter::keyframe_requests_sent);
    }
    return;
  }
  const bool queued = send_feedback(context_, publisher, [&](Writer& writer) {
    if (encoding.track.fir) {
      return append_fir(writer, publisher.local_ssrc, encoding.ssrc, ++encoding.fir_seq);
    }
    return append_pli(writer, publisher.local_ssrc, encoding.ssrc);
  });
  if (queued) {
    context_.counters.add(Counter::keyframe_requests_sent);
  }
}

}  // namespace parley
