// Any datagram, once as it is and once with a right FINGERPRINT so that the fuzzer gets past it.
#include <array>
#include <cstdlib>

#include "crc32.h"
#include "stun_probe.h"

namespace {

void probe(parley::Bytes datagram) {
  const auto found = parley::probe_stun(datagram);
  if (found && (found->transaction_id.size() != 12 || found->ufrag.size() > 513)) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  probe({data, size});
  std::array<std::uint8_t, 2048> mended{};
  if (size < 20 || size + 8 > mended.size()) {
    return 0;
  }
  const parley::MutableBytes whole = parley::MutableBytes(mended).first(size / 4 * 4 + 8);
  const std::size_t body = whole.size() - 8;
  parley::copy_to(whole, 0, parley::Bytes(data, body));
  whole[0] &= 0x3FU;
  parley::store_u16(whole, 2, static_cast<std::uint16_t>(whole.size() - 20));
  parley::store_u32(whole, 4, 0x2112A442U);
  parley::store_u32(whole, body, 0x80280004U);
  parley::store_u32(whole, body + 4, parley::crc32(whole.first(body)) ^ parley::kStunFingerprintXor);
  probe(whole);
  return 0;
}
