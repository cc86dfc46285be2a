// A stand-in for SRTP where the wheel's libsrtp cannot be loaded: XOR with a 16-byte tag that is really checked.
// For tests, fuzzers and sanitizer builds only; it protects nothing.
// Thread: as Srtp.
#pragma once

#include "srtp.h"

#include <cstdint>

namespace parley {

struct TestCipher {
  std::uint8_t key = 0x5a;

  static const SrtpTable& table();
};

}  // namespace parley
