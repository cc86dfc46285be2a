// Several packets of one encoding: each a dependency descriptor and a payload, split by length bytes.
#include <algorithm>
#include <cstdlib>

#include "codec_peek/av1.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  parley::Av1State state;
  parley::Reader reader(parley::Bytes(data, size));
  while (!reader.empty()) {
    const auto descriptor = reader.take(std::min<std::size_t>(reader.u8(), reader.remaining()));
    const auto payload = reader.take(std::min<std::size_t>(reader.u8(), reader.remaining()));
    const auto info = parley::peek_av1(payload, false, descriptor, state);
    if (info.spatial > 7 || info.temporal > 7) {
      std::abort();
    }
  }
  return 0;
}
