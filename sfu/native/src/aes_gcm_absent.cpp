// Where the core is built without the library (CMakeLists.txt): libsrtp does it all.
#include "aes_gcm.h"

namespace parley {

struct AesGcm::Expanded {};

void AesGcm::Wipe::operator()(Expanded* expanded) const { delete expanded; }

const std::string& AesGcm::implementation() {
  static const std::string none;
  return none;
}

AesGcm::AesGcm(Key /*key*/) {}

void AesGcm::seal(const Nonce& /*nonce*/, Bytes /*header*/, MutableBytes /*text*/, std::uint8_t* /*tag*/) const {}

bool AesGcm::open(const Nonce& /*nonce*/, Bytes /*header*/, MutableBytes /*text*/, const std::uint8_t* /*tag*/) const {
  return false;
}

bool AesGcm::has_key_of(const AesGcm& /*other*/) const { return false; }

std::array<std::uint8_t, 16> aes_block(AesGcm::Key /*key*/, const std::array<std::uint8_t, 16>& block) { return block; }

}  // namespace parley
