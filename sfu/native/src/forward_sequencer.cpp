#include "forward_sequencer.h"

#include <algorithm>
#include <bit>

namespace parley {

namespace {
constexpr TimeNs kAssumedRtt = 100 * kMillisecond;
}  // namespace

ForwardSequencer::ForwardSequencer(const ResendConfig& config) : config_(config), credit_(config.first_credit_bytes) {
  config_.entries = std::bit_ceil(std::max<std::uint16_t>(config.entries, 1));
}

void ForwardSequencer::record(const SentPacket& sent, TimeNs now) {
  if (ring_.empty()) {
    ring_.resize(config_.entries);
  }
  ring_[sent.seq & (config_.entries - 1U)] = {
      .sent = sent, .last_ms = static_cast<std::uint32_t>(now / kMillisecond), .resends = 0, .used = true};
  credit_ = std::min(credit_ + sent.size, config_.max_credit_bytes);
}

ResendVerdict ForwardSequencer::request(std::uint16_t seq, TimeNs now, TimeNs rtt, SentPacket& out) {
  if (ring_.empty()) {
    return ResendVerdict::kUnknown;
  }
  Entry& entry = ring_[seq & (config_.entries - 1U)];
  if (!entry.used || entry.sent.seq != seq) {
    return ResendVerdict::kUnknown;
  }
  if (entry.resends >= config_.max_resends) {
    return ResendVerdict::kExhausted;
  }
  const auto now_ms = static_cast<std::uint32_t>(now / kMillisecond);
  const TimeNs guard = std::clamp(rtt > 0 ? rtt : kAssumedRtt, config_.min_interval, config_.max_interval);
  if (entry.resends > 0 && static_cast<TimeNs>(now_ms - entry.last_ms) * kMillisecond < guard) {
    return ResendVerdict::kTooSoon;
  }
  if (entry.sent.size > credit_) {
    return ResendVerdict::kOverBudget;
  }
  credit_ -= entry.sent.size;
  ++entry.resends;
  entry.last_ms = now_ms;
  out = entry.sent;
  return ResendVerdict::kSend;
}

void ForwardSequencer::clear() {
  std::ranges::for_each(ring_, [](Entry& entry) { entry.used = false; });
}

}  // namespace parley
