// Any payload.
#include "codec_peek/vp9.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) {
    (void)parley::peek_vp9(parley::Bytes(data + 1, size - 1), (data[0] & 1U) != 0);
  }
  return 0;
}
