// The registry's tracks and their encodings.
#include "registry.h"

#include <algorithm>
#include <utility>

namespace parley {

namespace {

// Audio packets are small and rarely asked for again: no more than the fan-out needs.
StoreConfig store_config(const AddTrack& command) {
  if (command.is_video) {
    return StoreConfig{};
  }
  return StoreConfig{.first_slots = 32, .max_slots = 64, .max_age = 400 * kMillisecond};
}

}  // namespace

Encoding* Registry::encoding(std::uint32_t key) const {
  const auto at = encodings_.find(key);
  return at == encodings_.end() ? nullptr : at->second;
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
      made->encodings.back()->keyframes =
          KeyframeThrottle(KeyframeConfig{.max_retry_interval = 500 * kMillisecond, .max_retries = 1});
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
    std::erase(known->publisher->tracks, known);
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

}  // namespace parley
