#include "obu.h"

namespace parley {

namespace {

constexpr std::uint8_t kSequenceHeader = 1;
constexpr std::uint8_t kFrameHeader = 3;
constexpr std::uint8_t kTileGroup = 4;
constexpr std::uint8_t kFrame = 6;
constexpr int kMaxLookedAt = 8;

bool is_picture(std::uint8_t type) { return type == kFrameHeader || type == kTileGroup || type == kFrame; }

// The next element of the packet; `has_length`: with its size in front.
Bytes take_element(Reader& reader, bool has_length) {
  std::size_t size = reader.remaining();
  if (has_length) {
    size = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {  // leb128
      const std::uint8_t byte = reader.u8();
      size |= static_cast<std::size_t>(byte & 0x7FU) << shift;
      if ((byte & 0x80U) == 0) {
        break;
      }
    }
  }
  return reader.take(size);
}

}  // namespace

std::optional<ObuReader::Obu> ObuReader::header_of(Bytes obu) {
  const bool has_layer = (obu[0] & 0x04U) != 0;
  if (has_layer && obu.size() < 2) {
    return std::nullopt;
  }
  Obu header{.type = static_cast<std::uint8_t>((obu[0] >> 3) & 0x0FU), .has_layer = has_layer};
  if (has_layer) {
    header.temporal = static_cast<std::uint8_t>(obu[1] >> 5);
    header.spatial = (obu[1] >> 3) & 3U;
  }
  return header;
}

ObuSummary ObuReader::read(Bytes payload) {
  ObuSummary summary;
  Reader reader(payload);
  const std::uint8_t aggregation = reader.u8();
  const bool begins_inside = (aggregation & 0x80U) != 0;  // Z
  const bool ends_inside = (aggregation & 0x40U) != 0;    // Y
  const int elements = (aggregation >> 4) & 3;            // W: 0 = every element has a length
  bool has_picture = false;
  Obu last;
  for (int i = 0; i < kMaxLookedAt && !reader.empty(); ++i) {
    const Bytes obu = take_element(reader, elements == 0 || i + 1 < elements);
    if (!reader.ok() || obu.empty()) {
      open_ = {};
      return summary;
    }
    const bool is_begun = i == 0 && begins_inside;
    const auto header = is_begun ? open_ : header_of(obu);
    if (!header) {
      open_ = {};
      return summary;
    }
    last = *header;
    if (!is_begun && !has_picture) {
      summary.has_sequence_header = summary.has_sequence_header || last.type == kSequenceHeader;
      summary.starts_frame = last.type == kFrameHeader || last.type == kFrame;
    }
    if (is_picture(last.type) && !has_picture) {
      has_picture = true;
      summary.spatial = last.spatial;
      summary.temporal = last.temporal;
    }
  }
  // A frame that comes as tile groups may go on in the next packet: its end is told by the marker alone.
  summary.ends_layer = last.has_layer && last.type == kFrame && !ends_inside;
  open_ = ends_inside ? last : Obu{};
  return summary;
}

}  // namespace parley
