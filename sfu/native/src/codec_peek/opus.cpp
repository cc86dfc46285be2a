#include "opus.h"

namespace parley {

PayloadInfo peek_opus(Bytes payload) {
  PayloadInfo info;
  info.valid = !payload.empty();
  info.frame_start = info.frame_end = info.valid;
  return info;
}

PayloadInfo peek_red(Bytes payload) {
  Reader reader(payload);
  std::size_t redundant = 0;
  // Each redundant block has four header bytes, the primary one has one (RFC 2198 section 3).
  while ((reader.u8() & 0x80U) != 0) {
    redundant += reader.u24() & 0x3FFU;
  }
  if (!reader.ok() || redundant > reader.remaining()) {
    return {};
  }
  PayloadInfo info;
  info.valid = info.frame_start = info.frame_end = true;
  return info;
}

}  // namespace parley
