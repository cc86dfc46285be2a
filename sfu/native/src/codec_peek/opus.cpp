#include "opus.h"

namespace parley {

PayloadInfo peek_opus(Bytes payload) {
  PayloadInfo info;
  info.valid = !payload.empty();
  info.frame_start = info.frame_end = info.valid;
  return info;
}

}  // namespace parley
