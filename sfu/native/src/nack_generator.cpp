#include "nack_generator.h"

#include <algorithm>

namespace parley {

NackGenerator::NackGenerator(const NackConfig& config) : config_(config), credit_(config.max_credit) {
  missing_.reserve(config.max_missing);
}

NackOutcome NackGenerator::receive(std::int64_t ext_seq, TimeNs now) {
  if (!started_) {
    started_ = true;
    highest_ = ext_seq;
    return NackOutcome::kFirst;
  }
  if (ext_seq <= highest_) {
    const auto at = std::ranges::lower_bound(missing_, ext_seq, {}, &Missing::ext_seq);
    if (at == missing_.end() || at->ext_seq != ext_seq) {
      return NackOutcome::kOld;
    }
    missing_.erase(at);
    earn();
    update_deadline();
    return NackOutcome::kRecovered;
  }
  earn();
  const std::int64_t gap = ext_seq - highest_ - 1;
  if (gap == 0) {
    highest_ = ext_seq;
    return NackOutcome::kInOrder;
  }
  if (gap > config_.max_gap || gap + static_cast<std::int64_t>(missing_.size()) > config_.max_missing) {
    given_up_ += static_cast<std::uint64_t>(gap) + missing_.size();
    missing_.clear();
    deadline_ = kNever;
    highest_ = ext_seq;
    return NackOutcome::kReset;
  }
  const TimeNs due = now + config_.reorder_grace;
  for (std::int64_t seq = highest_ + 1; seq < ext_seq; ++seq) {
    missing_.push_back({.ext_seq = seq, .since = now, .due = due, .tries = 0});
  }
  highest_ = ext_seq;
  deadline_ = std::min(deadline_, due);
  return NackOutcome::kGap;
}

std::size_t NackGenerator::poll(TimeNs now, TimeNs rtt, std::span<std::uint16_t> out) {
  if (now < deadline_) {
    return 0;
  }
  const TimeNs base = rtt > 0 ? rtt : kAssumedRtt;
  std::size_t count = 0;
  std::size_t kept = 0;
  for (auto entry : missing_) {
    if (entry.due <= now && (entry.tries >= config_.max_tries || now - entry.since > config_.max_age)) {
      ++given_up_;
      continue;
    }
    if (entry.due <= now && count < out.size() && credit_ > 0) {
      --credit_;
      out[count++] = static_cast<std::uint16_t>(entry.ext_seq);
      // The answer takes an RTT; each further try waits a quarter longer.
      TimeNs interval = std::clamp(base, config_.min_interval, config_.max_interval);
      for (int i_try = 0; i_try <= entry.tries && interval < config_.max_interval; ++i_try) {
        interval += interval / 4;
      }
      entry.due = now + std::min(interval, config_.max_interval);
      ++entry.tries;
    }
    missing_[kept++] = entry;
  }
  missing_.resize(kept);
  update_deadline();
  return count;
}

void NackGenerator::earn() {
  if (credit_ < config_.max_credit) {
    ++credit_;
  }
}

void NackGenerator::reset() {
  missing_.clear();
  deadline_ = kNever;
  started_ = false;
}

void NackGenerator::update_deadline() {
  deadline_ = kNever;
  for (const auto& entry : missing_) {
    deadline_ = std::min(deadline_, entry.due);
  }
}

}  // namespace parley
