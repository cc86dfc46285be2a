#include "dispatcher.h"

#include <fcntl.h>

#include <algorithm>

namespace parley {

std::optional<std::uint32_t> Dispatcher::Slots::take() {
  if (!spare_.empty()) {
    const std::uint32_t slot = spare_.back();
    spare_.pop_back();
    return slot;
  }
  if (next_ == ReadySet::kSlots) {
    return std::nullopt;
  }
  return next_++;
}

template <typename Body>
Parts Dispatcher::plan_transport(std::uint64_t number, Body body) {
  if (transports_.contains(body.transport)) {
    return refuse("transport id in use");
  }
  if (body.worker >= doors_.size()) {
    return refuse("unknown worker");
  }
  transports_[body.transport] = {.worker = body.worker, .number = number};
  note_added(number, Kind::kTransport, body.transport);
  const std::size_t worker = body.worker;
  return one(worker, std::move(body));
}

Parts Dispatcher::plan_add(std::uint64_t number, AddTransport body) { return plan_transport(number, std::move(body)); }
Parts Dispatcher::plan_add(std::uint64_t number, AddClientTransport body) { return plan_transport(number, body); }

Parts Dispatcher::plan_add(std::uint64_t number, AddInjectedTransport body) {
  return sinks_.contains(body.sink) ? plan_transport(number, body) : refuse("unknown id");
}

Parts Dispatcher::plan_add(std::uint64_t number, AddTrack body) {
  const TransportRoute* owner = find(transports_, body.transport);
  if (owner == nullptr) {
    return refuse("unknown id");
  }
  if (tracks_.contains(body.track)) {
    return refuse("track id in use");
  }
  tracks_[body.track] = {.worker = owner->worker,
                         .number = number,
                         .transport = body.transport,
                         .description = std::make_shared<const AddTrack>(body),
                         .links = {}};
  note_added(number, Kind::kTrack, body.track);
  return one(owner->worker, std::move(body));
}

Parts Dispatcher::plan_add(std::uint64_t number, AddGenerator body) {
  const TransportRoute* owner = find(transports_, body.transport);
  if (owner == nullptr) {
    return refuse("unknown id");
  }
  if (tracks_.contains(body.track)) {
    return refuse("track id in use");
  }
  tracks_[body.track] = {
      .worker = owner->worker, .number = number, .transport = body.transport, .description = nullptr, .links = {}};
  note_added(number, Kind::kTrack, body.track);
  return one(owner->worker, std::move(body));
}

Parts Dispatcher::plan_add(std::uint64_t number, AddForward body) {
  const TransportRoute* subscriber = find(transports_, body.transport);
  TrackRoute* source = find(tracks_, body.track);
  if (subscriber == nullptr || source == nullptr) {
    return refuse("unknown id");
  }
  if (forwards_.contains(body.forward)) {
    return refuse("forward id in use");
  }
  const std::size_t worker = subscriber->worker;
  Parts parts;
  if (!link(body.track, *source, worker, parts)) {
    return refuse("too many tracks of other workers");
  }
  forwards_[body.forward] = {.worker = worker, .number = number, .transport = body.transport, .track = body.track};
  note_added(number, Kind::kForward, body.forward);
  parts.push_back({worker, std::move(body)});
  return parts;
}

// Every worker writes its own tracks' records; each record datagram is whole, so that they mix.
Parts Dispatcher::plan_add(std::uint64_t number, AddSink body) {
  if (sinks_.contains(body.sink)) {
    return refuse("sink id in use");
  }
  Parts parts;
  for (std::size_t worker = 1; worker < doors_.size(); ++worker) {
    UniqueFd copy(fcntl(body.fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy.is_open()) {
      return refuse("the sink's descriptor cannot be duplicated");
    }
    parts.push_back({worker, AddSink{body.sink, std::move(copy)}});
  }
  sinks_[body.sink] = {.number = number};
  note_added(number, Kind::kSink, body.sink);
  parts.push_back({0, std::move(body)});
  return parts;
}

Parts Dispatcher::plan_add(std::uint64_t number, AddTap body) {
  const TrackRoute* source = find(tracks_, body.track);
  if (source == nullptr || !sinks_.contains(body.sink)) {
    return refuse("unknown id");
  }
  if (taps_.contains(body.tap)) {
    return refuse("tap id in use");
  }
  taps_[body.tap] = {.worker = source->worker, .number = number, .track = body.track, .sink = body.sink};
  note_added(number, Kind::kTap, body.tap);
  const std::size_t worker = source->worker;
  return one(worker, body);
}

Parts Dispatcher::plan_add(std::uint64_t number, SetForwardSource body) {
  ForwardRoute* forward = find(forwards_, body.forward);
  TrackRoute* source = find(tracks_, body.track);
  if (forward == nullptr || (source == nullptr && body.track != 0)) {
    return refuse("unknown id");
  }
  Parts parts;
  if (source != nullptr && !link(body.track, *source, forward->worker, parts)) {
    return refuse("too many tracks of other workers");
  }
  source_changes_[number] = {.forward = body.forward, .worker = forward->worker, .before = forward->track};
  forward->track = body.track;
  forward->change = number;
  parts.push_back({forward->worker, body});
  return parts;
}

Parts Dispatcher::plan_change(SetTrackEnabled body) {
  const TrackRoute* route = find(tracks_, body.track);
  if (route == nullptr) {
    return refuse("unknown id");
  }
  Parts parts = one(route->worker, body);
  for (const LinkUse& use : route->links) {
    parts.push_back({use.worker, body});
  }
  return parts;
}

Parts Dispatcher::plan_change(RemoveTransport body) {
  const TransportRoute* route = find(transports_, body.transport);
  if (route == nullptr) {
    return refuse("unknown id");
  }
  Parts parts = one(route->worker, body);
  std::vector<std::uint32_t> doomed;
  for (const auto& [id, forward] : forwards_) {
    if (forward.transport == body.transport) {
      doomed.push_back(id);
    }
  }
  for (const std::uint32_t id : doomed) {
    forget_forward(id, parts);
  }
  doomed.clear();
  for (const auto& [id, track] : tracks_) {
    if (track.transport == body.transport) {
      doomed.push_back(id);
    }
  }
  for (const std::uint32_t id : doomed) {
    forget_track(id, parts);
  }
  transports_.erase(body.transport);
  return parts;
}

Parts Dispatcher::plan_change(RemoveTrack body) {
  const TrackRoute* route = find(tracks_, body.track);
  if (route == nullptr) {
    return refuse("unknown id");
  }
  Parts parts = one(route->worker, body);
  forget_track(body.track, parts);
  return parts;
}

Parts Dispatcher::plan_change(RemoveGenerator body) {
  Parts parts = to_owner(tracks_, body.track, body);
  tracks_.erase(body.track);
  return parts;
}

Parts Dispatcher::plan_change(RemoveForward body) {
  const ForwardRoute* route = find(forwards_, body.forward);
  if (route == nullptr) {
    return refuse("unknown id");
  }
  Parts parts = one(route->worker, body);
  forget_forward(body.forward, parts);
  return parts;
}

Parts Dispatcher::plan_change(RemoveSink body) {
  if (sinks_.erase(body.sink) == 0) {
    return refuse("unknown id");
  }
  std::erase_if(taps_, [&](const auto& entry) { return entry.second.sink == body.sink; });
  Parts parts;
  for (std::size_t worker = 0; worker < doors_.size(); ++worker) {
    parts.push_back({worker, body});
  }
  return parts;
}

Parts Dispatcher::plan_change(RemoveTap body) {
  Parts parts = to_owner(taps_, body.tap, body);
  taps_.erase(body.tap);
  return parts;
}

bool Dispatcher::link(std::uint32_t track, TrackRoute& route, std::size_t worker, Parts& parts) {
  if (worker == route.worker || route.description == nullptr) {
    return true;
  }
  for (LinkUse& use : route.links) {
    if (use.worker == worker) {
      ++use.forwards;
      return true;
    }
  }
  const auto home = slots_[route.worker].take();
  const auto away = slots_[worker].take();
  if (!home || !away) {
    if (home) {
      slots_[route.worker].give_back(*home);
    }
    if (away) {
      slots_[worker].give_back(*away);
    }
    return false;
  }
  auto made = std::make_shared<TrackLink>(LinkEnd{doors_[route.worker], *home}, LinkEnd{doors_[worker], *away},
                                          route.description->is_video);
  parts.push_back({route.worker, ExportTrack{track, made}});
  parts.push_back({worker, ImportTrack{route.description, made}});
  route.links.push_back({.worker = worker, .forwards = 1, .link = std::move(made)});
  ++link_count_;
  return true;
}

void Dispatcher::unlink(std::uint32_t track, std::size_t worker, Parts& parts) {
  TrackRoute* route = find(tracks_, track);
  if (route == nullptr) {
    return;
  }
  for (auto use = route->links.begin(); use != route->links.end(); ++use) {
    if (use->worker == worker && --use->forwards == 0) {
      parts.push_back({worker, RemoveTrack{track}});
      parts.push_back({route->worker, EndExport{track, use->link}});
      end_link(*use, route->worker);
      route->links.erase(use);
      return;
    }
    if (use->worker == worker) {
      return;
    }
  }
}

void Dispatcher::end_link(const LinkUse& use, std::size_t home) {
  slots_[home].give_back(use.link->home.slot);
  slots_[use.worker].give_back(use.link->away.slot);
  --link_count_;
}

// The track's own worker ends it with its forwards and taps; others end theirs.
void Dispatcher::forget_track(std::uint32_t id, Parts& parts) {
  const TrackRoute* route = find(tracks_, id);
  if (route == nullptr) {
    return;
  }
  for (const LinkUse& use : route->links) {
    parts.push_back({use.worker, RemoveTrack{id}});
    end_link(use, route->worker);
  }
  tracks_.erase(id);
  std::erase_if(forwards_, [&](const auto& entry) { return entry.second.track == id; });
  std::erase_if(taps_, [&](const auto& entry) { return entry.second.track == id; });
}

void Dispatcher::forget_forward(std::uint32_t id, Parts& parts) {
  const ForwardRoute* route = find(forwards_, id);
  if (route == nullptr) {
    return;
  }
  const std::uint32_t track = route->track;
  const std::size_t worker = route->worker;
  forwards_.erase(id);
  unlink(track, worker, parts);
}

Parts Dispatcher::accepted(std::uint64_t number) {
  Parts parts;
  added_.erase(number);
  if (const auto at = source_changes_.find(number); at != source_changes_.end()) {
    unlink(at->second.before, at->second.worker, parts);
    source_changes_.erase(at);
  }
  return parts;
}

Parts Dispatcher::refused(std::uint64_t number) {
  Parts parts;
  if (const auto change = source_changes_.find(number); change != source_changes_.end()) {
    ForwardRoute* forward = find(forwards_, change->second.forward);
    if (forward != nullptr && forward->change == number) {
      unlink(std::exchange(forward->track, change->second.before), forward->worker, parts);
    } else {
      unlink(change->second.before, change->second.worker, parts);
    }
    source_changes_.erase(change);
    return parts;
  }
  const auto at = added_.find(number);
  if (at == added_.end()) {
    return parts;
  }
  const auto [kind, id] = at->second;
  added_.erase(at);
  // The id may have been given up, and even taken again, before the answer came.
  switch (kind) {
    case Kind::kTransport:
      if (const auto* route = find(transports_, id); route != nullptr && route->number == number) {
        transports_.erase(id);
      }
      break;
    case Kind::kTrack:
      if (const auto* route = find(tracks_, id); route != nullptr && route->number == number) {
        forget_track(id, parts);
      }
      break;
    case Kind::kForward:
      if (const auto* route = find(forwards_, id); route != nullptr && route->number == number) {
        parts.push_back({route->worker, RemoveForward{id}});
        forget_forward(id, parts);
      }
      break;
    case Kind::kSink:
      if (const auto* route = find(sinks_, id); route != nullptr && route->number == number) {
        parts = plan_change(RemoveSink{id});
      }
      break;
    case Kind::kTap:
      if (const auto* route = find(taps_, id); route != nullptr && route->number == number) {
        taps_.erase(id);
      }
      break;
  }
  return parts;
}

bool Dispatcher::take_sink_end(std::uint32_t sink) {
  SinkRoute* route = find(sinks_, sink);
  return route != nullptr && !std::exchange(route->is_end_told, true);
}

}  // namespace parley
