// AES-128 in Galois/counter mode under one key, by Intel's IPsec library where that is installed: one call for
// a packet, which spares what a general library does around each (a third of libsrtp's time, a quarter with cold
// caches). Thread: a key is used by one thread at a time. Source: NIST SP 800-38D.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "bytes.h"

namespace parley {

class AesGcm {
 public:
  static constexpr std::size_t kKey = 16;
  static constexpr std::size_t kNonce = 12;
  static constexpr std::size_t kTag = 16;
  using Key = std::span<const std::uint8_t, kKey>;
  using Nonce = std::array<std::uint8_t, kNonce>;
  using Tag = std::array<std::uint8_t, kTag>;

  // The library and what of the processor it uses, "" where there is none, or where it fails its known answer. Then
  // nothing else here may be called.
  static const std::string& implementation();
  static bool is_available() { return !implementation().empty(); }

  explicit AesGcm(Key key);

  // In place. `tag` may lie directly behind `text`.
  void seal(const Nonce& nonce, Bytes header, MutableBytes text, std::uint8_t* tag) const;
  // In place; false: `header`, `text` or `tag` is not what was sealed, and `text` is garbage.
  [[nodiscard]] bool open(const Nonce& nonce, Bytes header, MutableBytes text, const std::uint8_t* tag) const;

  [[nodiscard]] bool has_key_of(const AesGcm& other) const;

 private:
  struct Expanded;
  struct Wipe {
    void operator()(Expanded* expanded) const;
  };
  std::unique_ptr<Expanded, Wipe> expanded_;
};

// One block under AES-128, for the derivation of keys. Needs the library, as above.
std::array<std::uint8_t, 16> aes_block(AesGcm::Key key, const std::array<std::uint8_t, 16>& block);

}  // namespace parley
