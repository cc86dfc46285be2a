#include "transport_feedback.h"

namespace parley {

namespace {

constexpr std::uint8_t kNotReceived = 0;
constexpr std::uint8_t kSmallDelta = 1;
constexpr std::uint8_t kLargeDelta = 2;
constexpr std::uint8_t kReserved = 3;
constexpr std::size_t kHeaderSize = 16;

std::uint16_t symbols_in(std::uint16_t chunk) {
  if ((chunk & 0x8000U) == 0) {
    return chunk & 0x1FFFU;  // run length
  }
  return (chunk & 0x4000U) != 0 ? 7 : 14;
}

// `left`: symbols not yet read of this chunk.
std::uint8_t symbol_at(unsigned chunk, unsigned left) {
  if ((chunk & 0x8000U) == 0) {
    return static_cast<std::uint8_t>((chunk >> 13) & 3U);
  }
  if ((chunk & 0x4000U) != 0) {
    return static_cast<std::uint8_t>((chunk >> (2U * (left - 1U))) & 3U);
  }
  return static_cast<std::uint8_t>((chunk >> (left - 1U)) & 1U);
}

}  // namespace

std::optional<TransportFeedbackReader> TransportFeedbackReader::open(const RtcpMessage& message) {
  if (message.kind != RtcpKind::kTransportFeedback || message.body.size() < kHeaderSize) {
    return std::nullopt;
  }
  Reader header(message.body);
  header.skip(8);
  const std::uint16_t base_seq = header.u16();
  const std::uint16_t status_count = header.u16();
  const std::uint32_t reference_time = header.u24();
  const std::uint8_t feedback_count = header.u8();

  // First pass: where the deltas begin, and how many bytes of them the statuses need.
  Reader chunks = header;
  std::size_t delta_bytes = 0;
  for (std::size_t done = 0; done < status_count;) {
    const std::uint16_t chunk = chunks.u16();
    const std::uint16_t symbols = symbols_in(chunk);
    if (!chunks.ok() || symbols == 0) {
      return std::nullopt;  // a run of nothing would never end the loop
    }
    for (std::uint16_t left = symbols; left > 0 && done < status_count; --left, ++done) {
      const std::uint8_t symbol = symbol_at(chunk, left);
      if (symbol == kReserved) {
        return std::nullopt;
      }
      delta_bytes += symbol;  // small: one byte, large: two
    }
  }
  if (chunks.remaining() < delta_bytes) {
    return std::nullopt;
  }
  TransportFeedbackReader reader(header.rest(), chunks.rest());
  reader.base_seq_ = base_seq;
  reader.status_count_ = status_count;
  reader.reference_time_ = reference_time;
  reader.feedback_count_ = feedback_count;
  return reader;
}

std::uint8_t TransportFeedbackReader::next_symbol() {
  if (chunk_left_ == 0) {
    chunk_ = chunks_.u16();
    chunk_left_ = symbols_in(chunk_);
  }
  return chunk_left_ == 0 ? kNotReceived : symbol_at(chunk_, chunk_left_--);
}

std::optional<PacketFate> TransportFeedbackReader::next() {
  if (done_ == status_count_) {
    return std::nullopt;
  }
  PacketFate fate{.seq = static_cast<std::uint16_t>(base_seq_ + done_)};
  ++done_;
  switch (next_symbol()) {
    case kSmallDelta:
      ticks_ += deltas_.u8();
      break;
    case kLargeDelta:
      ticks_ += static_cast<std::int16_t>(deltas_.u16());
      break;
    default:
      return fate;
  }
  fate.received = true;
  fate.arrival_ticks = ticks_;
  return fate;
}

}  // namespace parley
