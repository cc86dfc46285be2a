// The registry's forwards.
#include "registry.h"

#include <utility>
#include <vector>

namespace parley {

Refusal Registry::add_forward(const AddForward& command) {
  Track* source = track(command.track);
  Transport* subscriber = transport(command.transport);
  if (source == nullptr) {
    return "unknown track";
  }
  if (subscriber == nullptr) {
    return "unknown transport";
  }
  if (forward(command.forward) != nullptr) {
    return "forward id in use";
  }
  if (source->forwards.size() >= Track::kMaxForwards || subscriber->forwards.size() >= Transport::kMaxForwards) {
    return "too many forwards";
  }
  if (subscriber->forwards_by_ssrc.contains(command.ssrc) ||
      (command.rtx_ssrc != 0 && subscriber->forwards_by_ssrc.contains(command.rtx_ssrc))) {
    return "ssrc in use";
  }
  if (const Refusal refusal = check_gate(command.gate, source); !refusal.empty()) {
    return refusal;
  }
  // RFC 3550 section 5.1: numbering starts at random; in the lower half, so that an early roll-over cannot be taken for
  // a replay (RFC 3711 section 3.3.1).
  auto made = std::make_unique<Forward>(command.forward, *subscriber, source->is_video,
                                        static_cast<std::uint16_t>(context_.random() & 0x7fff),
                                        static_cast<std::uint32_t>(context_.random()));
  made->ssrc = command.ssrc;
  made->rtx_ssrc = command.rtx_ssrc;
  made->mid = command.mid;
  made->gate = command.gate;
  made->rtx_seq = static_cast<std::uint16_t>(context_.random() & 0x7fff);
  for (const PayloadTypeEntry& entry : command.payload_types) {
    made->payload_types[static_cast<std::size_t>(entry.codec)] = {entry.pt, entry.rtx_pt};
  }
  made->header = HeaderTemplate(subscriber->send_ids, command.mid);
  made->layers.set_target(command.paused, -1, -1);
  subscriber->forwards.push_back(made.get());
  subscriber->forwards_by_ssrc[command.ssrc] = made.get();
  if (command.rtx_ssrc != 0) {
    subscriber->forwards_by_ssrc[command.rtx_ssrc] = made.get();
  }
  subscriber->pending_forwards.reserve(subscriber->forwards.size());
  attach(*made, *source);
  forwards_.emplace(command.forward, std::move(made));
  return {};
}

// A gated forward leads outside the room, where nobody has the key.
Refusal Registry::check_gate(GatePosition gate, const Track* track) const {
  if (gate.slot == 0) {
    return {};
  }
  if (!context_.gates.is_valid(gate.slot)) {
    return "gate slot outside the page";
  }
  return track != nullptr && track->e2ee ? Refusal("e2ee") : Refusal();
}

void Registry::set_gate(Forward& forward, GatePosition gate) {
  if (forward.track != nullptr) {
    forward.track->outside_forwards -= forward.is_outside() ? 1U : 0U;
    forward.track->outside_forwards += gate.slot != 0 ? 1U : 0U;
  }
  forward.gate = gate;
}

void Registry::attach(Forward& forward, Track& track) {
  forward.track = &track;
  forward.turn = track.voice.turn;
  track.forwards.push_back(&forward);
  track.outside_forwards += forward.is_outside() ? 1U : 0U;
  track.tell_active(forward);
}

void Registry::detach(Forward& forward) {
  if (forward.track != nullptr) {
    std::erase(forward.track->forwards, &forward);
    forward.track->outside_forwards -= forward.is_outside() ? 1U : 0U;
    forward.track = nullptr;
  }
  forward.layers.reset_source();
}

Refusal Registry::set_forward(const SetForward& command) {
  Forward* known = forward(command.forward);
  if (known == nullptr) {
    return "unknown forward";
  }
  known->layers.set_target(command.paused, command.spatial, command.temporal, command.at_once);
  return {};
}

Refusal Registry::set_forward_source(const SetForwardSource& command) {
  Forward* known = forward(command.forward);
  Track* source = track(command.track);
  if (known == nullptr) {
    return "unknown forward";
  }
  if (source == nullptr && command.track != 0) {
    return "unknown track";
  }
  if (source != nullptr && source->is_video != known->is_video) {
    return "the new source is of another kind";
  }
  if (const Refusal refusal = check_gate(command.gate, source); !refusal.empty()) {
    return refusal;
  }
  set_gate(*known, command.gate);
  known->begin_gate();
  if (source != known->track) {
    detach(*known);
    if (source != nullptr) {
      attach(*known, *source);
    }
  }
  return {};
}

Refusal Registry::set_forward_gate(const SetForwardGate& command) {
  Forward* known = forward(command.forward);
  if (known == nullptr) {
    return "unknown forward";
  }
  if (const Refusal refusal = check_gate(command.gate, known->track); !refusal.empty()) {
    return refusal;
  }
  if (known->gate != command.gate) {
    set_gate(*known, command.gate);
    known->begin_gate();
  }
  return {};
}

Refusal Registry::remove_forward(std::uint32_t id) {
  Forward* known = forward(id);
  if (known == nullptr) {
    return "unknown forward";
  }
  detach(*known);
  Transport& subscriber = known->transport;
  subscriber.forwards_by_ssrc.erase(known->ssrc);
  subscriber.forwards_by_ssrc.erase(known->rtx_ssrc);
  std::erase(subscriber.forwards, known);
  forwards_.erase(id);
  return {};
}

}  // namespace parley
