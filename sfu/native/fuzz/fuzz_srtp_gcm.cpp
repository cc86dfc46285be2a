// Any packets to a receiver of AES-128-GCM, and what a sender makes of them: nothing that strangers send is opened,
// what was sealed is opened once.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "srtp.h"

namespace {

using parley::GcmKeys;
using parley::SrtpError;

struct Pair {
  parley::GcmReceiver receiver;
  parley::GcmSender sender;
};

Pair make_pair() {
  static constexpr std::array<std::uint8_t, GcmKeys::kMaster> kMaster{1, 2, 3};
  return {parley::GcmReceiver(GcmKeys::derive(kMaster), 5), parley::GcmSender(GcmKeys::derive(kMaster), 5)};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (!parley::AesGcm::is_available()) {
    return 0;
  }
  Pair pair = make_pair();
  std::vector<std::uint8_t> packet(data, data + size);
  std::size_t length = size;
  if (pair.receiver.unprotect(packet.data(), length) == SrtpError::kNone) {
    std::abort();
  }
  packet.assign(data, data + size);
  packet.resize(size + parley::kMaxSrtpTrailer);
  length = size;
  if (pair.sender.protect(packet.data(), length) != SrtpError::kNone) {
    return 0;
  }
  const std::vector<std::uint8_t> sealed(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(length));
  if (pair.receiver.unprotect(packet.data(), length) != SrtpError::kNone || length != size ||
      !std::equal(data, data + size, packet.begin())) {
    std::abort();
  }
  packet = sealed;
  length = sealed.size();
  if (pair.receiver.unprotect(packet.data(), length) != SrtpError::kReplayed) {
    std::abort();
  }
  return 0;
}
