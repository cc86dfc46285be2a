#include "twcc_recorder.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "rtcp_view.h"
#include "transport_feedback.h"

namespace parley {

namespace {

constexpr TimeNs kNeverCame = -1;
constexpr std::int64_t kTicksPerReference = kTwccReferenceUnit / kTwccTick;
constexpr std::size_t kFeedbackHeader = 20;
constexpr std::size_t kMaxRun = 8191;
constexpr std::size_t kOneBitSymbols = 14;
constexpr std::size_t kTwoBitSymbols = 7;

enum Symbol : std::uint8_t { kLost = 0, kSmall = 1, kLarge = 2 };

struct Statuses {
  std::array<std::uint8_t, TwccRecorder::kWindow> symbols{};
  std::array<std::int16_t, TwccRecorder::kWindow> deltas{};  // in ticks, where received
  std::size_t count = 0;
};

// The chunk that covers the most statuses from `at` on; advances `at`. Source: section 3.1.1 to 3.1.4 of the draft.
std::uint16_t next_chunk(std::span<const std::uint8_t> symbols, std::size_t& at) {
  const auto rest = symbols.subspan(at);
  std::size_t run = 1;
  while (run < rest.size() && run < kMaxRun && rest[run] == rest[0]) {
    ++run;
  }
  const auto one_bit = rest.first(std::min(rest.size(), kOneBitSymbols));
  const bool fits_one_bit = std::ranges::find(one_bit, kLarge) == one_bit.end();
  if (run >= (fits_one_bit ? kOneBitSymbols : kTwoBitSymbols) || run == rest.size()) {
    at += run;
    return static_cast<std::uint16_t>((static_cast<std::size_t>(rest[0]) << 13U) | run);
  }
  unsigned chunk = 0;
  if (fits_one_bit) {
    for (std::size_t i = 0; i < one_bit.size(); ++i) {
      chunk |= static_cast<unsigned>(one_bit[i]) << (kOneBitSymbols - 1 - i);
    }
    at += one_bit.size();
    return static_cast<std::uint16_t>(0x8000U | chunk);
  }
  const auto two_bit = rest.first(std::min(rest.size(), kTwoBitSymbols));
  for (std::size_t i = 0; i < two_bit.size(); ++i) {
    chunk |= static_cast<unsigned>(two_bit[i]) << (2 * (kTwoBitSymbols - 1 - i));
  }
  at += two_bit.size();
  return static_cast<std::uint16_t>(0xC000U | chunk);
}

// The caller has checked the room.
void write_feedback(Writer& out, std::uint32_t sender_ssrc, std::uint32_t media_ssrc, std::uint16_t base_seq,
                    std::int64_t reference, std::uint8_t feedback_count, const Statuses& statuses) {
  const std::size_t start = out.size();
  out.u8(0x80U | 15U);
  out.u8(kRtcpRtpfb);
  out.u16(0);
  out.u32(sender_ssrc);
  out.u32(media_ssrc);
  out.u16(base_seq);
  out.u16(static_cast<std::uint16_t>(statuses.count));
  out.u24(static_cast<std::uint32_t>(reference) & 0xFFFFFFU);
  out.u8(feedback_count);
  const auto symbols = std::span(statuses.symbols).first(statuses.count);
  for (std::size_t at = 0; at < symbols.size();) {
    out.u16(next_chunk(symbols, at));
  }
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i] == kSmall) {
      out.u8(static_cast<std::uint8_t>(statuses.deltas[i]));
    } else if (symbols[i] == kLarge) {
      out.u16(static_cast<std::uint16_t>(statuses.deltas[i]));
    }
  }
  while ((out.size() - start) % 4 != 0) {
    out.u8(0);
  }
  out.patch_u16(start + 2, static_cast<std::uint16_t>((out.size() - start) / 4 - 1));
}

}  // namespace

void TwccRecorder::receive(std::uint16_t seq, TimeNs now) {
  if (arrivals_.empty()) {
    arrivals_.assign(kWindow, kNeverCame);
  }
  const std::int64_t ext_seq = unwrapper_.unwrap(seq);
  constexpr auto kSpan = static_cast<std::int64_t>(kWindow);
  if (!started_ || ext_seq - end_ >= kSpan) {
    started_ = true;
    std::ranges::fill(arrivals_, kNeverCame);
    base_ = oldest_ = end_ = ext_seq;
    waiting_ = 0;
  }
  if (ext_seq < end_ - kSpan || (ext_seq >= oldest_ && ext_seq < end_ && arrival(ext_seq) != kNeverCame)) {
    return;
  }
  for (; end_ <= ext_seq; ++end_) {
    arrival(end_) = kNeverCame;
  }
  oldest_ = std::max(std::min(oldest_, ext_seq), end_ - kSpan);
  // A packet that was reported lost already is reported again, with all that follow it.
  base_ = std::max(std::min(base_, ext_seq), oldest_);
  arrival(ext_seq) = std::max<TimeNs>(now, 0);
  ++waiting_;
}

bool TwccRecorder::is_due(TimeNs now) const {
  return waiting_ > 0 && (waiting_ >= config_.max_packets || now - last_built_ >= config_.interval);
}

TimeNs TwccRecorder::deadline() const {
  if (waiting_ == 0) {
    return kNever;
  }
  return waiting_ >= config_.max_packets ? last_built_ : last_built_ + config_.interval;
}

bool TwccRecorder::build(Writer& out, std::uint32_t sender_ssrc, std::uint32_t media_ssrc, TimeNs now) {
  std::int64_t first = base_;
  while (first < end_ && arrival(first) == kNeverCame) {
    ++first;
  }
  if (waiting_ == 0 || first >= end_) {
    waiting_ = 0;
    return false;
  }
  const std::int64_t reference = arrival(first) / kTwccReferenceUnit;

  Statuses statuses;
  std::int64_t previous = reference * kTicksPerReference;
  std::size_t delta_bytes = 0;
  std::size_t written_to = 0;  // statuses up to the last received one: what follows it can wait
  for (std::int64_t seq = base_; seq < end_; ++seq) {
    std::uint8_t symbol = kLost;
    if (const TimeNs at = arrival(seq); at != kNeverCame) {
      const std::int64_t delta = at / kTwccTick - previous;
      if (delta < INT16_MIN || delta > INT16_MAX) {
        break;  // goes into the next message, under a reference of its own
      }
      symbol = delta >= 0 && delta <= 255 ? kSmall : kLarge;
      statuses.deltas[statuses.count] = static_cast<std::int16_t>(delta);
      previous += delta;
    }
    // Worst case: one two-byte chunk for seven statuses.
    const std::size_t chunk_bytes = (statuses.count / kTwoBitSymbols + 1) * 2;
    if (kFeedbackHeader + chunk_bytes + delta_bytes + symbol + 3 > out.remaining()) {
      break;
    }
    delta_bytes += symbol;
    statuses.symbols[statuses.count++] = symbol;
    if (symbol != kLost) {
      written_to = statuses.count;
    }
  }
  if (written_to == 0) {
    return false;
  }
  statuses.count = written_to;
  write_feedback(out, sender_ssrc, media_ssrc, static_cast<std::uint16_t>(base_), reference, feedback_count_, statuses);
  base_ += static_cast<std::int64_t>(statuses.count);
  waiting_ = base_ >= end_ ? std::uint16_t{0} : std::max<std::uint16_t>(waiting_, 1);
  last_built_ = now;
  ++feedback_count_;
  return true;
}

}  // namespace parley
