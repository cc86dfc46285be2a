#include "h264.h"

#include "h264_sps.h"

namespace parley {

namespace {

constexpr std::uint8_t kIdrSlice = 5;
constexpr std::uint8_t kSps = 7;
constexpr std::uint8_t kStapA = 24;
constexpr std::uint8_t kFuA = 28;
constexpr std::uint8_t kLastDefined = 29;

void note_unit(Bytes unit, std::uint8_t type, PayloadInfo& info) {
  if (type == kSps) {
    info.has_sps = true;
    info.height = sps_height(unit);
  }
  info.keyframe_start = info.keyframe_start || type == kSps || type == kIdrSlice;
}

}  // namespace

PayloadInfo peek_h264(Bytes payload, bool marker) {
  PayloadInfo info;
  Reader reader(payload);
  const std::uint8_t type = reader.u8() & 0x1FU;
  if (!reader.ok() || type == 0 || type > kLastDefined) {
    return {};
  }
  if (type == kStapA) {
    // Each unit: 16-bit size, then the unit (RFC 6184 section 5.7.1).
    if (reader.empty()) {
      return {};
    }
    while (!reader.empty()) {
      const Bytes unit = reader.take(reader.u16());
      if (!reader.ok() || unit.empty()) {
        return {};
      }
      note_unit(unit, unit[0] & 0x1FU, info);
    }
  } else if (type == kFuA) {
    const std::uint8_t header = reader.u8();
    if (!reader.ok() || reader.empty()) {
      return {};
    }
    if ((header & 0x80U) != 0) {                            // S: first fragment
      note_unit(payload.subspan(1), header & 0x1FU, info);  // its header stands for the unit's
    }
  } else {
    note_unit(payload, type, info);
  }
  info.valid = true;
  info.frame_end = marker;
  return info;
}

}  // namespace parley
