// The registry's sinks and taps.
#include "registry.h"

#include <utility>
#include <vector>

namespace parley {

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
  const Sink* known = sink(id);
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
  std::erase(known->track->taps, known);
  taps_.erase(id);
  return {};
}

}  // namespace parley
