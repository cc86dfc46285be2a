#include "registry.h"

#include <algorithm>
#include <utility>

#include "client_mode.h"

namespace parley {

namespace {

template <typename T>
void erase_one(std::vector<T*>& from, const T* what) {
  const auto at = std::ranges::find(from, what);
  if (at != from.end()) {
    from.erase(at);
  }
}

// Audio packets are small and rarely asked for again: no more than the fan-out needs.
StoreConfig store_config(const AddTrack& command) {
  if (command.is_video) {
    return StoreConfig{};
  }
  return StoreConfig{.first_slots = 32, .max_slots = 64, .max_age = 400 * kMillisecond};
}

// Whether a path goes another way through the network than the one that is sent on: not merely to another port.
bool leads_elsewhere(const Transport& transport, const PathId& path) {
  const Path* now = transport.path();
  return now == nullptr || now->id.kind != path.kind || now->id.remote.ip != path.remote.ip;
}

}  // namespace

Transport* Registry::transport_of_ufrag(std::string_view ufrag) const {
  const auto at = ufrags_.find(ufrag);
  return at == ufrags_.end() ? nullptr : at->second;
}

Encoding* Registry::encoding(std::uint32_t key) const {
  const auto at = encodings_.find(key);
  return at == encodings_.end() ? nullptr : at->second;
}

Transport& Registry::make_transport(std::uint32_t id) {
  auto made = std::make_unique<Transport>(id);
  Transport& transport = *made;
  transports_.emplace(id, std::move(made));
  transport_list_.push_back(&transport);
  return transport;
}

Refusal Registry::add_transport(const AddTransport& command) {
  if (transport(command.transport) != nullptr) {
    return "transport id in use";
  }
  Transport& made = make_transport(command.transport);
  const Refusal refusal = claim_ufrags(made, command.ufrags);
  if (!refusal.empty()) {
    remove_transport(command.transport);
  }
  return refusal;
}

Refusal Registry::add_injected_transport(const AddInjectedTransport& command) {
  Sink* source = sink(command.sink);
  if (transport(command.transport) != nullptr) {
    return "transport id in use";
  }
  if (source == nullptr) {
    return "unknown sink";
  }
  if (source->injected != nullptr) {
    return "the sink feeds another transport";
  }
  set_injector(make_transport(command.transport), source);
  return {};
}

void Registry::set_injector(Transport& transport, Sink* source) {
  Sink* changed = source == nullptr ? transport.injector : source;
  if (changed != nullptr) {
    transport.injector = source;
    changed->injected = source == nullptr ? nullptr : &transport;
    if (watcher_ != nullptr) {
      watcher_->sink_changed(*changed);
    }
  }
}

Refusal Registry::add_client_transport(const AddClientTransport& command) {
  if (transport(command.transport) != nullptr) {
    return "transport id in use";
  }
  if (command.socket >= context_.socket_count) {
    return "unknown socket";
  }
  Transport& made = make_transport(command.transport);
  made.client = std::make_unique<ClientReceiver>(command.loss_permille, command.rtx_pt);
  return bind_path(BindPath{command.transport, {.socket = command.socket, .remote = command.remote}, true});
}

Refusal Registry::claim_ufrags(Transport& transport, const std::vector<std::string>& ufrags) {
  if (ufrags.size() > kMaxUfrags) {
    return "too many ufrags";
  }
  for (const std::string& ufrag : ufrags) {
    const auto at = ufrags_.find(ufrag);
    if (ufrag.empty() || ufrag.size() > 256) {
      return "ufrag must have 1 to 256 characters";
    }
    if (at != ufrags_.end() && at->second != &transport) {
      return "ufrag in use";
    }
  }
  release_ufrags(transport);
  transport.ufrags = ufrags;
  for (const std::string& ufrag : ufrags) {
    ufrags_[ufrag] = &transport;
    context_.neighbours.ufrags.put(ufrag, context_.config.index);
  }
  return {};
}

void Registry::release_ufrags(Transport& transport) {
  for (const std::string& ufrag : transport.ufrags) {
    ufrags_.erase(ufrag);
    context_.neighbours.ufrags.erase(ufrag, context_.config.index);
  }
  transport.ufrags.clear();
}

Refusal Registry::set_ufrags(const SetUfrags& command) {
  Transport* known = transport(command.transport);
  return known == nullptr ? Refusal("unknown transport") : claim_ufrags(*known, command.ufrags);
}

Refusal Registry::bind_path(const BindPath& command) {
  Transport* known = transport(command.transport);
  if (known == nullptr) {
    return "unknown transport";
  }
  if (command.path.kind == PathKind::kUdp && command.path.socket >= context_.socket_count) {
    return "unknown socket";
  }
  if (command.path.kind == PathKind::kTcp && context_.tcp.find(command.path) == nullptr) {
    return "no such connection";  // closed meanwhile
  }
  std::size_t place = Transport::kMaxPaths;
  std::size_t oldest = Transport::kMaxPaths;
  for (std::size_t index = 0; index < Transport::kMaxPaths; ++index) {
    const Path& path = known->paths[index];
    if (path.bound_order != 0 && path.id == command.path) {
      place = index;
      break;
    }
    const bool is_selected = std::cmp_equal(index, known->selected);
    if (!is_selected && (oldest == Transport::kMaxPaths || path.bound_order < known->paths[oldest].bound_order)) {
      oldest = index;  // a free slot has order 0
    }
  }
  if (place == Transport::kMaxPaths) {
    place = oldest;
    release_path(*known, place);
    // The last authenticated check wins: an address that another transport once had now belongs to this one.
    Transport* before = paths_.put(command.path.local(), command.path.remote, known);
    if (before != nullptr && before != known) {
      for (std::size_t index = 0; index < Transport::kMaxPaths; ++index) {
        Path& path = before->paths[index];
        if (path.bound_order != 0 && path.id == command.path) {
          path = Path{};
          if (std::cmp_equal(index, before->selected)) {
            before->selected = -1;
          }
        }
      }
    }
  }
  known->paths[place] = Path{command.path, ++bind_order_};
  if (command.selected || known->selected < 0) {
    if (known->downlink != nullptr && leads_elsewhere(*known, command.path)) {
      known->downlink->estimator.move();
    }
    known->selected = static_cast<int>(place);
  }
  return {};
}

void Registry::release_path(Transport& transport, std::size_t index) {
  Path& path = transport.paths[index];
  if (path.bound_order != 0) {
    paths_.erase(path.id.local(), path.id.remote);
    path = Path{};
  }
  if (std::cmp_equal(index, transport.selected)) {
    transport.selected = -1;
  }
}

Refusal Registry::unbind_path(const UnbindPath& command) {
  Transport* known = transport(command.transport);
  if (known == nullptr) {
    return "unknown transport";
  }
  for (std::size_t index = 0; index < Transport::kMaxPaths; ++index) {
    const Path& path = known->paths[index];
    if (path.bound_order != 0 && path.id == command.path) {
      release_path(*known, index);
      return {};
    }
  }
  return "unknown path";
}

Transport* Registry::lose_path(const PathId& path) {
  Transport* owner = transport_at(path);
  if (owner != nullptr) {
    unbind_path(UnbindPath{owner->id, path});
  }
  return owner;
}

Refusal Registry::set_srtp(const SetSrtp& command) {
  Transport* known = transport(command.transport);
  if (known == nullptr) {
    return "unknown transport";
  }
  known->srtp = Srtp(&context_.srtp, command.rx, command.tx, command.profile);
  return {};
}

Refusal Registry::set_extensions(const SetExtensions& command) {
  Transport* known = transport(command.transport);
  if (known == nullptr) {
    return "unknown transport";
  }
  if (!command.is_send) {
    known->receive_ids = command.ids;
    return {};
  }
  known->send_ids = command.ids;
  if (known->send_ids.has(Extension::kTwcc) && known->downlink == nullptr && known->client == nullptr) {
    known->downlink = std::make_unique<Downlink>();
  }
  for (Forward* forward : known->forwards) {
    forward->header = HeaderTemplate(known->send_ids, forward->mid);
  }
  return {};
}

Refusal Registry::set_wanted(const SetWanted& command) {
  Transport* known = transport(command.transport);
  if (known == nullptr) {
    return "unknown transport";
  }
  if (known->downlink != nullptr) {
    known->downlink->estimator.set_wanted(static_cast<double>(command.bps));
  }
  return {};
}

Refusal Registry::remove_transport(std::uint32_t id) {
  Transport* known = transport(id);
  if (known == nullptr) {
    return "unknown transport";
  }
  while (!known->tracks.empty()) {
    remove_track(known->tracks.back()->id);
  }
  while (!known->forwards.empty()) {
    remove_forward(known->forwards.back()->id);
  }
  release_ufrags(*known);
  set_injector(*known, nullptr);
  for (std::size_t index = 0; index < Transport::kMaxPaths; ++index) {
    release_path(*known, index);
  }
  if (watcher_ != nullptr) {
    watcher_->forget(*known);
  }
  erase_one(transport_list_, known);
  transports_.erase(id);
  return {};
}

Refusal Registry::add_track(const AddTrack& command) {
  Transport* owner = transport(command.transport);
  if (owner == nullptr) {
    return "unknown transport";
  }
  if (track(command.track) != nullptr) {
    return "track id in use";
  }
  if (owner->tracks.size() >= Transport::kMaxTracks) {
    return "too many tracks";
  }
  if (command.codecs.empty() || command.codecs.size() > 64) {
    return "a track needs 1 to 64 codecs";
  }
  if (command.encodings.empty() || command.encodings.size() > kMaxEncodings) {
    return "a track needs 1 to 8 encodings";
  }
  auto made = make_track(command, owner);
  const Refusal refusal = claim_ssrcs(*made);
  if (!refusal.empty()) {
    owner->ssrcs.forget(made.get());
    return refusal;
  }
  owner->tracks.push_back(made.get());
  keep(std::move(made));
  return {};
}

std::unique_ptr<Track> Registry::make_track(const AddTrack& command, Transport* publisher) {
  auto made = std::make_unique<Track>(command.track, publisher, command.is_video);
  made->nack = command.nack;
  made->twcc = command.twcc;
  made->e2ee = command.e2ee;
  made->fir = command.fir;
  made->stage = command.is_video ? 0 : command.stage;
  made->mid = command.mid;
  made->codecs = command.codecs;
  made->pending.reserve(Track::kMaxPending);
  for (const EncodingEntry& entry : command.encodings) {
    made->encodings.push_back(std::make_unique<Encoding>(*made, static_cast<std::uint8_t>(made->encodings.size()),
                                                         entry, store_config(command), command.codecs[0].clock_hz));
    made->encodings.back()->key = ++last_encoding_key_;
    if (command.e2ee) {
      // Keyframes may pass unnoticed: a request is repeated once, not until one is seen.
      made->encodings.back()->keyframes = KeyframeThrottle(
          KeyframeConfig{.max_retry_interval = 500 * kMillisecond, .max_retries = 1});
    }
  }
  return made;
}

void Registry::keep(std::unique_ptr<Track> track) {
  for (const auto& encoding : track->encodings) {
    encodings_[encoding->key] = encoding.get();
  }
  if (track->stage != 0) {
    stages_.join(track->stage, track->voice);
  }
  const std::uint32_t id = track->id;
  tracks_.emplace(id, std::move(track));
}

Refusal Registry::import_track(const ImportTrack& command) {
  if (track(command.track->track) != nullptr) {
    return "track id in use";
  }
  // Codecs and encodings are checked where the track is received; nothing comes by the link of one that is refused.
  if (command.track->codecs.empty() || command.track->encodings.size() > kMaxEncodings) {
    return "unknown track";
  }
  auto made = make_track(*command.track, nullptr);
  made->origin = command.link;
  keep(std::move(made));
  return {};
}

Refusal Registry::claim_ssrcs(Track& track) {
  for (const auto& encoding : track.encodings) {
    const std::pair<std::uint32_t, SsrcEntry::Role> wanted[] = {{encoding->ssrc, SsrcEntry::Role::kMedia},
                                                                {encoding->rtx_ssrc, SsrcEntry::Role::kRtx}};
    for (const auto& [ssrc, role] : wanted) {
      if (ssrc == 0) {
        continue;
      }
      SsrcEntry* entry = track.publisher->ssrcs.claim(ssrc);
      if (entry == nullptr) {
        return "too many ssrcs";
      }
      if (entry->track != nullptr) {
        return "ssrc in use";
      }
      entry->role = role;
      entry->encoding = encoding->index;
      entry->track = &track;
    }
  }
  return {};
}

Refusal Registry::remove_track(std::uint32_t id) {
  Track* known = track(id);
  if (known == nullptr) {
    return "unknown track";
  }
  while (!known->forwards.empty()) {
    remove_forward(known->forwards.back()->id);
  }
  while (!known->taps.empty()) {
    remove_tap(known->taps.back()->id);
  }
  if (watcher_ != nullptr) {
    watcher_->forget(*known);
  }
  if (known->publisher != nullptr) {
    known->publisher->ssrcs.forget(known);
    erase_one(known->publisher->tracks, known);
  }
  stages_.leave(known->voice);
  for (const auto& encoding : known->encodings) {
    encodings_.erase(encoding->key);
  }
  tracks_.erase(id);
  return {};
}

Refusal Registry::set_track_enabled(const SetTrackEnabled& command) {
  Track* known = track(command.track);
  if (known == nullptr) {
    return "unknown track";
  }
  if (known->enabled == command.enabled) {
    return {};
  }
  known->enabled = command.enabled;
  // What was dropped meanwhile is not asked for again, and forwards start afresh.
  for (const auto& encoding : known->encodings) {
    encoding->nack.reset();
    encoding->store.clear();
  }
  for (Forward* forward : known->forwards) {
    forward->layers.reset_source();
  }
  return {};
}

Refusal Registry::set_stage(const SetStage& command, TimeNs now) {
  if (command.stage == 0) {
    return "stage 0 is none";
  }
  stages_.set_places(command.stage, command.places, now);
  return {};
}

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
    erase_one(forward.track->forwards, &forward);
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
  erase_one(subscriber.forwards, known);
  forwards_.erase(id);
  return {};
}

Refusal Registry::add_sink(AddSink& command) {
  if (sink(command.sink) != nullptr) {
    return "sink id in use";
  }
  if (sinks_.size() >= kMaxSinks) {
    return "too many sinks";
  }
  auto made = std::make_unique<Sink>(command.sink, std::move(command.fd));
  if (watcher_ != nullptr) {
    watcher_->sink_added(*made);
  }
  sinks_.emplace(command.sink, std::move(made));
  return {};
}

Refusal Registry::remove_sink(std::uint32_t id) {
  Sink* known = sink(id);
  if (known == nullptr) {
    return "unknown sink";
  }
  std::vector<std::uint32_t> doomed;
  for (const auto& [tap_id, tap] : taps_) {
    if (tap->sink == known) {
      doomed.push_back(tap_id);
    }
  }
  for (const std::uint32_t tap_id : doomed) {
    remove_tap(tap_id);
  }
  if (known->injected != nullptr) {
    set_injector(*known->injected, nullptr);
  }
  sinks_.erase(id);
  return {};
}

void Registry::close_sinks() {
  while (!sinks_.empty()) {
    remove_sink(sinks_.begin()->first);
  }
}

Refusal Registry::add_tap(const AddTap& command) {
  Track* source = track(command.track);
  Sink* target = sink(command.sink);
  if (source == nullptr) {
    return "unknown track";
  }
  if (target == nullptr) {
    return "unknown sink";
  }
  if (tap(command.tap) != nullptr) {
    return "tap id in use";
  }
  if (source->e2ee) {
    return "e2ee";
  }
  if (source->taps.size() >= Track::kMaxTaps) {
    return "too many taps";
  }
  // Unlike a forward, a tap is never open by permission alone: no gate, no packets.
  if (!context_.gates.is_valid(command.gate.slot)) {
    return "a tap needs a gate slot of the page";
  }
  auto made = std::make_unique<Tap>();
  made->id = command.tap;
  made->track = source;
  made->sink = target;
  made->gate = command.gate;
  source->taps.push_back(made.get());
  taps_.emplace(command.tap, std::move(made));
  return {};
}

Refusal Registry::set_tap_gate(const SetTapGate& command) {
  Tap* known = tap(command.tap);
  if (known == nullptr) {
    return "unknown tap";
  }
  if (!context_.gates.is_valid(command.gate.slot)) {
    return "a tap needs a gate slot of the page";
  }
  known->gate = command.gate;
  return {};
}

Refusal Registry::remove_tap(std::uint32_t id) {
  Tap* known = tap(id);
  if (known == nullptr) {
    return "unknown tap";
  }
  erase_one(known->track->taps, known);
  taps_.erase(id);
  return {};
}

}  // namespace parley
