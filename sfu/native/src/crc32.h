// CRC-32 as STUN's FINGERPRINT uses it.
// Thread: any. Source: RFC 8489 section 14.7, ITU V.42 polynomial.
#pragma once

#include <array>
#include <cstdint>

#include "bytes.h"

namespace parley {

namespace detail {
consteval std::array<std::uint32_t, 256> crc32_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value & 1U) != 0 ? 0xEDB88320U ^ (value >> 1) : value >> 1;
    }
    table[i] = value;
  }
  return table;
}
inline constexpr auto kCrc32Table = crc32_table();
}  // namespace detail

[[nodiscard]] constexpr std::uint32_t crc32(Bytes data) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const std::uint8_t byte : data) {
    crc = detail::kCrc32Table[(crc ^ byte) & 0xFFU] ^ (crc >> 8);
  }
  return ~crc;
}

inline constexpr std::uint32_t kStunFingerprintXor = 0x5354554EU;

}  // namespace parley
