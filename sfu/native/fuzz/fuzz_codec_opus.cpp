// Any payload, as Opus.
#include "codec_peek/opus.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)parley::peek_opus({data, size});
  return 0;
}
