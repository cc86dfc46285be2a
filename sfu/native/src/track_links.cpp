#include "track_links.h"

#include <algorithm>
#include <utility>

namespace parley {

TrackLinks::Linked& TrackLinks::linked(std::uint32_t slot) {
  if (slot >= by_slot_.size()) {
    by_slot_.resize(slot + 1U);
  }
  return by_slot_[slot];
}

void TrackLinks::begin(Track& track, std::shared_ptr<TrackLink> link) {
  if (track.pool == nullptr) {
    track.pool = std::make_shared<PacketPool>();
  }
  link->pool = track.pool;
  linked(link->home.slot) = {&track, link.get()};
  track.exports.push_back(std::move(link));
  track.pool->set_limit(track.exports.size() * track.exports.back()->capacity);
}

void TrackLinks::end(Track& track, const TrackLink& link) {
  std::erase(untold_, &link);
  linked(link.home.slot) = {};
  std::erase_if(track.exports, [&](const auto& held) { return held.get() == &link; });
  if (track.exports.empty()) {
    track.pool.reset();
  }
}

void TrackLinks::follow(Track& track, TimeNs now) {
  linked(track.origin->away.slot) = {&track, track.origin.get()};
  followed_.push_back(&track);
  receive_items(track, *track.origin, now);
}

void TrackLinks::forget(const Track& track) {
  if (track.origin != nullptr) {
    linked(track.origin->away.slot) = {};
    std::erase(followed_, &track);
  }
  for (const auto& link : track.exports) {
    std::erase(untold_, link.get());
    linked(link->home.slot) = {};
  }
}

void TrackLinks::share(Track& track, const Packet& packet, bool codec_changed) {
  if (track.exports.empty()) {
    return;
  }
  const PacketPool::Reference reference = track.pool->claim();
  if (reference.packet == nullptr) {
    context_.counters.add(Counter::drop_link_full, track.exports.size());
    return;
  }
  reference.packet->copy(packet);
  reference.packet->generation = track.encodings[packet.encoding]->generation;
  reference.packet->codec_changed = codec_changed;
  reference.holders->store(static_cast<std::uint32_t>(track.exports.size()), std::memory_order_relaxed);
  for (const auto& link : track.exports) {
    push(*link, TrackLink::Item{.packet = reference, .report = {}, .arrival = 0, .encoding = packet.encoding});
  }
}

void TrackLinks::share(Track& track, std::uint8_t encoding, const SenderInfo& report, TimeNs now) {
  for (const auto& link : track.exports) {
    push(*link, TrackLink::Item{.packet = {}, .report = report, .arrival = now, .encoding = encoding});
  }
}

void TrackLinks::push(TrackLink& link, const TrackLink::Item& item) {
  TrackLink::Item* slot = link.items.claim();
  if (slot == nullptr) {
    context_.counters.add(Counter::drop_link_full);
    if (item.packet.packet != nullptr) {
      item.packet.release();
    }
    return;
  }
  *slot = item;
  link.items.publish();
  context_.counters.add(Counter::link_items_sent);
  if (link.untold++ == 0) {
    untold_.push_back(&link);
  } else if (link.untold % (link.capacity / 2) == 0) {
    link.away.knock();  // a burst: the ring must not fill up while this worker's batch gathers
  }
}

void TrackLinks::flush() {
  for (TrackLink* link : untold_) {
    link->untold = 0;
    link->away.knock();
  }
  untold_.clear();
}

void TrackLinks::receive(TimeNs now) {
  if (door_.ready.is_empty()) {
    return;
  }
  door_.ready.take([&](std::uint32_t slot) {
    // A link that ended, or is not here yet, may still be named.
    const Linked found = slot < by_slot_.size() ? by_slot_[slot] : Linked{};
    if (found.track == nullptr) {
      return;
    }
    if (found.link == found.track->origin.get()) {
      receive_items(*found.track, *found.link, now);
    } else {
      receive_wishes(*found.track, *found.link, now);
    }
  });
}

void TrackLinks::receive_items(Track& track, TrackLink& link, TimeNs now) {
  // Bounded: what its owner adds meanwhile is announced by another mark.
  for (std::size_t count = link.items.size(); count > 0; --count) {
    const TrackLink::Item& item = *link.items.front();
    context_.counters.add(Counter::link_items_received);
    if (item.packet.packet != nullptr) {
      receive_packet(track, *item.packet.packet, now);
      item.packet.release();
    } else {
      track.clocks.receive(item.encoding, item.report, item.arrival);
    }
    link.items.release();
  }
}

void TrackLinks::receive_packet(Track& track, const SharedPacket& shared, TimeNs now) {
  const Packet& packet = shared.packet;
  if (!track.enabled) {
    context_.counters.add(Counter::drop_track_disabled);
    return;
  }
  Encoding& encoding = *track.encodings[packet.encoding];
  if (encoding.generation != shared.generation) {
    track.restart(encoding);
    encoding.generation = shared.generation;
  }
  if (encoding.codec != packet.codec) {
    const CodecEntry* codec = track.codec_of(packet.rtp.pt);
    encoding.codec = packet.codec;
    encoding.clock_hz = codec == nullptr ? encoding.clock_hz : codec->clock_hz;
  }
  encoding.has_sent = true;
  if (encoding.store.put(packet) != PutResult::kStored) {
    context_.counters.add(Counter::drop_rtp_too_old);
    return;
  }
  if (packet.payload.keyframe_start) {
    encoding.keyframes.receive_keyframe(now);
  }
  track.receive(encoding, packet, now);
  fanout_.hear(track, packet, now);
  fanout_.add(track, Track::Pending{packet.ext_seq, encoding.index, shared.codec_changed}, now, now - packet.arrival);
}

void TrackLinks::receive_wishes(Track& track, TrackLink& link, TimeNs now) {
  for (std::size_t count = link.keyframe_wishes.size(); count > 0; --count) {
    const std::uint8_t encoding = *link.keyframe_wishes.front();
    link.keyframe_wishes.release();
    if (encoding < track.encodings.size()) {
      keyframes_.request(*track.encodings[encoding], now);
    }
  }
}

void TrackLinks::tick(TimeNs now) {
  if (now < next_tick_) {
    return;
  }
  next_tick_ = now + kTick;
  for (Track* track : followed_) {
    track->tick(now);
  }
}

}  // namespace parley
