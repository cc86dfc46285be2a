#include "forward_sequencer.h"

#include <algorithm>
#include <bit>

namespace parley {

namespace {

std::uint32_t whole_ms(TimeNs time) { return static_cast<std::uint32_t>(time / kMillisecond); }
}  // namespace

ForwardSequencer::ForwardSequencer(const ResendConfig& config) : config_(config), credit_(config.first_credit_bytes) {
  config_.entries = std::bit_ceil(std::max<std::uint16_t>(config.entries, 1));
}

void ForwardSequencer::record(const SentPacket& sent, TimeNs now) {
  if (ring_.empty()) {
    ring_.resize(config_.entries);
  }
  ring_[sent.seq & (config_.entries - 1U)] = {.sent = sent, .last_ms = whole_ms(now), .resends = 0, .used = true};
  credit_ = std::min(credit_ + sent.size, config_.max_credit_bytes);
}

ResendVerdict ForwardSequencer::request(std::uint16_t seq, TimeNs now, TimeNs rtt, SentPacket& out) {
  Entry* entry = find(seq);
  if (entry == nullptr) {
    return ResendVerdict::kUnknown;
  }
  const TimeNs guard = std::clamp(rtt > 0 ? rtt : kAssumedRtt, config_.min_interval, config_.max_interval);
  const std::uint32_t elapsed_ms = whole_ms(now) - entry->last_ms;
  if (entry->resends > 0 && entry->resends < config_.max_resends &&
      static_cast<TimeNs>(elapsed_ms) * kMillisecond < guard) {
    return ResendVerdict::kTooSoon;
  }
  return pay(*entry, now, out);
}

ResendVerdict ForwardSequencer::repeat(std::uint16_t seq, TimeNs lost, TimeNs now, SentPacket& out) {
  Entry* entry = find(seq);
  if (entry == nullptr) {
    return ResendVerdict::kUnknown;
  }
  return entry->last_ms == whole_ms(lost) ? pay(*entry, now, out) : ResendVerdict::kTooSoon;
}

ForwardSequencer::Entry* ForwardSequencer::find(std::uint16_t seq) {
  if (ring_.empty()) {
    return nullptr;
  }
  Entry& entry = ring_[seq & (config_.entries - 1U)];
  return entry.used && entry.sent.seq == seq ? &entry : nullptr;
}

ResendVerdict ForwardSequencer::pay(Entry& entry, TimeNs now, SentPacket& out) {
  if (entry.resends >= config_.max_resends) {
    return ResendVerdict::kExhausted;
  }
  if (entry.sent.size > credit_) {
    return ResendVerdict::kOverBudget;
  }
  credit_ -= entry.sent.size;
  ++entry.resends;
  entry.last_ms = whole_ms(now);
  out = entry.sent;
  return ResendVerdict::kSend;
}

void ForwardSequencer::clear() {
  std::ranges::for_each(ring_, [](Entry& entry) { entry.used = false; });
}

}  // namespace parley
