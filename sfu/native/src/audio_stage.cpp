#include "audio_stage.h"

#include <algorithm>

namespace parley {

void AudioStage::join(Voice& voice) {
  voice.stage = this;
  voices_.push_back(&voice);
  voice.is_heard = places_ == 0;
  if (places_ != 0 && heard_.size() < places_) {
    enter(voice);
  }
}

void AudioStage::leave(Voice& voice) {
  voice.stage = nullptr;
  voice.is_heard = true;
  std::erase(voices_, &voice);
  std::erase(heard_, &voice);
}

void AudioStage::set_places(std::uint32_t places, TimeNs now) {
  const std::uint32_t before = places_;
  places_ = std::min(places, kMaxPlaces);
  if (places_ == 0) {
    heard_.clear();
    for (Voice* voice : voices_) {
      voice->turn += voice->is_heard ? 0U : 1U;
      voice->is_heard = true;
    }
    return;
  }
  if (before == 0) {
    heard_ = voices_;
  }
  if (heard_.size() > places_) {
    std::ranges::stable_sort(
        heard_, [now](const Voice* a, const Voice* b) { return a->loudness.at(now) > b->loudness.at(now); });
    for (std::size_t index = places_; index < heard_.size(); ++index) {
      heard_[index]->is_heard = false;
    }
    heard_.resize(places_);
  }
  heard_.reserve(places_);
}

bool AudioStage::receive(Voice& voice, std::optional<AudioLevel> level, TimeNs now) {
  voice.loudness.receive(level, voice.is_heard, now);
  if (voice.is_heard) {
    return false;
  }
  if (heard_.size() < places_) {
    enter(voice);
    return true;
  }
  const double loudness = voice.loudness.at(now);
  if (loudness < Loudness::kAudible) {
    return false;
  }
  const auto quietest =
      std::ranges::min_element(heard_, {}, [now](const Voice* heard) { return heard->loudness.at(now); });
  if (loudness < (*quietest)->loudness.at(now) + kMargin) {
    return false;
  }
  (*quietest)->is_heard = false;
  heard_.erase(quietest);
  enter(voice);
  return true;
}

void AudioStage::enter(Voice& voice) {
  heard_.push_back(&voice);
  voice.is_heard = true;
  ++voice.turn;
}

void AudioStages::join(std::uint32_t stage, Voice& voice) {
  std::unique_ptr<AudioStage>& found = stages_[stage];
  if (found == nullptr) {
    found = std::make_unique<AudioStage>();
  }
  found->join(voice);
}

void AudioStages::leave(Voice& voice) {
  AudioStage* stage = voice.stage;
  if (stage == nullptr) {
    return;
  }
  stage->leave(voice);
  if (stage->is_idle()) {
    std::erase_if(stages_, [stage](const auto& entry) { return entry.second.get() == stage; });
  }
}

void AudioStages::set_places(std::uint32_t stage, std::uint32_t places, TimeNs now) {
  const auto found = stages_.find(stage);
  if (found == stages_.end() && places == 0) {
    return;
  }
  std::unique_ptr<AudioStage>& kept = stages_[stage];
  if (kept == nullptr) {
    kept = std::make_unique<AudioStage>();
  }
  kept->set_places(places, now);
  if (kept->is_idle()) {
    stages_.erase(stage);
  }
}

}  // namespace parley
