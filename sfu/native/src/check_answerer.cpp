#include "check_answerer.h"

namespace parley {

Refusal CheckAnswerer::lend(const LendCredentials& command, Registry& registry) {
  Transport* transport = registry.transport(command.transport);
  if (transport == nullptr) {
    return "unknown transport";
  }
  if (command.pwd.size() > 256 || command.ufrag.size() > 256) {
    return "ICE credentials must have up to 256 characters";
  }
  if (transport->lease == nullptr) {
    transport->lease = std::make_unique<CheckLease>();
  }
  transport->lease->lend(command.ufrag, command.pwd);
  return {};
}

bool CheckAnswerer::take(Transport& transport, const PathId& path, Bytes check, const StunProbe& probe, TimeNs now) {
  CheckLease* lease = transport.lease.get();
  if (lease == nullptr) {
    return false;
  }
  const Path* selected = transport.path();
  if (selected == nullptr || selected->id != path) {
    if (lease->has_answered(probe)) {
      context_.counters.add(Counter::drop_stun_replayed);
      return true;
    }
    return false;
  }
  const MutableBytes out = context_.arena.claim();
  const bool is_listed = lease->is_heard();
  const std::size_t size = lease->answer(context_.config.hmac, check, probe, path.remote, now, out);
  if (size == 0) {
    return false;
  }
  context_.arena.commit(path, size);
  context_.counters.add(Counter::stun_answered);
  if (!is_listed) {
    heard_.push_back(&transport);
  }
  if (deadline_ == kNever) {
    deadline_ = now + kTellInterval;
  }
  return true;
}

void CheckAnswerer::tick(TimeNs now) {
  if (now < deadline_) {
    return;
  }
  HeardEvent event;
  for (const Transport* transport : heard_) {
    const TimeNs age = now - transport->lease->heard();
    event.heard.push_back({transport->id, static_cast<std::uint32_t>(age / kMillisecond)});
  }
  deadline_ = kNever;
  if (!event.heard.empty() && !context_.events.post(std::move(event))) {
    deadline_ = now + kTellInterval;  // nobody takes news now: they are told of with the next
    return;
  }
  for (Transport* transport : heard_) {
    transport->lease->forget_heard();
  }
  heard_.clear();
}

}  // namespace parley
