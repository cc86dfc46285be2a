#include "bwe/sent_history.h"

#include <algorithm>

namespace parley {

namespace {

constexpr std::int64_t kReferenceModulus = std::int64_t{1} << 24;

}  // namespace

void SentHistory::sent(std::uint16_t seq, std::uint32_t bytes, std::uint16_t cluster, TimeNs now) {
  if (ring_.empty()) {
    ring_.resize(kMinPackets);
    next_ = oldest_ = seq;
  }
  next_ += static_cast<std::uint16_t>(seq - static_cast<std::uint16_t>(next_));
  make_room(now);
  Entry& entry = at(next_);
  expire(entry);
  entry = Entry{now, next_, bytes, cluster, State::kInFlight};
  in_flight_ += bytes;
  ++next_;
}

void SentHistory::make_room(TimeNs now) {
  while (oldest_ < next_) {
    Entry& entry = at(oldest_);
    const bool is_waiting = entry.seq == oldest_ && entry.state == State::kInFlight;
    if (is_waiting && now - entry.sent <= kLifetime) {
      break;
    }
    expire(entry);
    ++oldest_;
  }
  const auto waiting = static_cast<std::size_t>(next_ - oldest_);
  if (waiting < ring_.size() || ring_.size() == kMaxPackets) {
    return;
  }
  std::vector<Entry> larger(ring_.size() * 2);
  for (const Entry& entry : ring_) {
    if (entry.seq >= 0) {
      larger[static_cast<std::size_t>(entry.seq) & (larger.size() - 1)] = entry;
    }
  }
  ring_ = std::move(larger);
}

void SentHistory::forget() {
  std::ranges::fill(ring_, Entry{});
  oldest_ = next_;
  in_flight_ = 0;
  reference_ = -1;
}

void SentHistory::expire(Entry& entry) {
  if (entry.state == State::kInFlight) {
    in_flight_ -= entry.bytes;
    entry.state = State::kLost;
  }
}

TimeNs SentHistory::arrival_base(std::uint32_t reference_time) {
  if (reference_ < 0) {
    reference_ = reference_time;
  } else {
    std::int64_t step = (static_cast<std::int64_t>(reference_time) - reference_) % kReferenceModulus;
    if (step < -kReferenceModulus / 2) {
      step += kReferenceModulus;
    } else if (step >= kReferenceModulus / 2) {
      step -= kReferenceModulus;
    }
    reference_ = std::max<std::int64_t>(0, reference_ + step);
  }
  return reference_ * kTwccReferenceUnit;
}

void SentHistory::feedback(TransportFeedbackReader reader, std::vector<PacketResult>& out) {
  if (ring_.empty()) {
    return;
  }
  const TimeNs base = arrival_base(reader.reference_time());
  // The newest number that was sent and has these low 16 bits.
  const auto behind = static_cast<std::uint16_t>(static_cast<std::uint16_t>(next_ - 1) - reader.base_seq());
  std::int64_t seq = next_ - 1 - behind;
  for (; const auto fate = reader.next(); ++seq) {
    if (seq < 0 || seq >= next_) {
      continue;
    }
    Entry& entry = at(seq);
    if (entry.seq != seq || entry.state == State::kEmpty || entry.state == State::kReceived) {
      continue;
    }
    if (!fate->received && entry.state == State::kLost) {
      continue;
    }
    if (entry.state == State::kInFlight) {
      in_flight_ -= entry.bytes;
    }
    entry.state = fate->received ? State::kReceived : State::kLost;
    out.push_back(PacketResult{.sent = entry.sent,
                               .arrived = fate->received ? base + fate->arrival_ticks * kTwccTick : 0,
                               .bytes = entry.bytes,
                               .cluster = entry.cluster,
                               .seq = static_cast<std::uint16_t>(seq),
                               .received = fate->received});
  }
}

}  // namespace parley
