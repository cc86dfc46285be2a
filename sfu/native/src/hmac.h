// HMAC-SHA1 through a table of one function: OpenSSL's in the product, a toy in stand-alone builds.
// Thread: any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bytes.h"

namespace parley {

// OpenSSL's one-shot HMAC(): returns `out`, null when it failed.
using HmacFunction = unsigned char* (*)(const void* digest, const void* key, int key_bytes, const unsigned char* data,
                                        std::size_t bytes, unsigned char* out, unsigned int* out_bytes);

struct HmacTable {
  static constexpr std::size_t kBytes = 20;

  HmacFunction function = nullptr;
  const void* sha1 = nullptr;  // OpenSSL's EVP_MD

  [[nodiscard]] bool is_complete() const { return function != nullptr && sha1 != nullptr; }
  // False when the function failed.
  [[nodiscard]] bool sign(std::string_view key, Bytes data, std::array<std::uint8_t, kBytes>& out) const {
    unsigned int size = 0;
    return function(sha1, key.data(), static_cast<int>(key.size()), data.data(), data.size(), out.data(), &size) !=
               nullptr &&
           size == kBytes;
  }
  static HmacTable from_addresses(std::uintptr_t function, std::uintptr_t sha1) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): what Python has of OpenSSL's functions
    return HmacTable{reinterpret_cast<HmacFunction>(function), reinterpret_cast<const void*>(sha1)};
  }
};

}  // namespace parley
