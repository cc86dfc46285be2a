#include "srtp_gcm.h"

#include <string.h>

#include <algorithm>

namespace parley {

namespace {

constexpr std::size_t kFixedHeader = 12;
constexpr std::uint64_t kIndexes = std::uint64_t{1} << 48U;
constexpr std::uint64_t kHalf = 1U << 15U;
constexpr std::uint64_t kRollover = 1U << 16U;
// Source: RFC 3711 section 4.3.1, table of labels.
constexpr std::uint8_t kKeyLabel = 0;
constexpr std::uint8_t kSaltLabel = 2;

struct Head {
  std::size_t size = 0;  // with CSRCs and extension
  std::uint32_t ssrc = 0;
  std::uint16_t seq = 0;
};

// The header of an RTP packet; nothing when the packet ends before it does.
std::optional<Head> head_of(Bytes packet) {
  if (packet.size() < kFixedHeader) {
    return std::nullopt;
  }
  std::size_t size = kFixedHeader + std::size_t{4} * (packet[0] & 0x0FU);
  if ((packet[0] & 0x10U) != 0) {
    if (packet.size() < size + 4) {
      return std::nullopt;
    }
    size += 4 + std::size_t{4} * load_u16(packet, size + 2);
  }
  if (size > packet.size()) {
    return std::nullopt;
  }
  return Head{.size = size, .ssrc = load_u32(packet, 8), .seq = load_u16(packet, 2)};
}

// The index of a packet whose source has this window (null: it is new); nothing when it must not pass (again).
template <typename Window>
std::optional<std::uint64_t> new_index(const Window* window, std::uint16_t seq) {
  const std::uint64_t index = window == nullptr ? seq : estimate_index(window->newest(), seq);
  const bool is_new = index < kIndexes && (window == nullptr || window->is_new(index));
  return is_new ? std::optional(index) : std::nullopt;
}

std::array<std::uint8_t, 16> derived(std::span<const std::uint8_t, GcmKeys::kMaster> master, std::uint8_t label) {
  // A salt of 96 bits stands at the front of the 112 that the derivation takes; behind them the counter begins at 0.
  std::array<std::uint8_t, 16> block{};
  std::ranges::copy(master.last<GcmKeys::kSalt>(), block.begin());
  block[7] ^= label;
  return aes_block(master.first<AesGcm::kKey>(), block);
}

}  // namespace

GcmKeys GcmKeys::derive(std::span<const std::uint8_t, kMaster> master) {
  auto key = derived(master, kKeyLabel);
  auto salting = derived(master, kSaltLabel);
  Salt salt;
  std::copy_n(salting.begin(), kSalt, salt.begin());
  GcmKeys keys(AesGcm::Key(key), salt);
  explicit_bzero(key.data(), key.size());
  explicit_bzero(salting.data(), salting.size());
  return keys;
}

AesGcm::Nonce GcmKeys::nonce(std::uint32_t ssrc, std::uint64_t index) const {
  AesGcm::Nonce nonce{};
  store_u32(nonce, 2, ssrc);
  store_u32(nonce, 6, static_cast<std::uint32_t>(index >> 16U));
  store_u16(nonce, 10, static_cast<std::uint16_t>(index));
  for (std::size_t at = 0; at < kSalt; ++at) {
    nonce[at] ^= salt[at];
  }
  return nonce;
}

std::uint64_t estimate_index(std::uint64_t newest, std::uint16_t seq) {
  const std::uint64_t seq_of_newest = newest % kRollover;
  const std::uint64_t same = newest - seq_of_newest + seq;
  if (seq_of_newest < kHalf) {
    const bool is_before = seq > seq_of_newest + kHalf && newest >= kRollover;
    return is_before ? same - kRollover : same;
  }
  return seq < seq_of_newest - kHalf ? same + kRollover : same;
}

SrtpError GcmSender::protect(std::uint8_t* packet, std::size_t& len) {
  const MutableBytes whole(packet, len);
  const auto head = head_of(whole);
  if (!head) {
    return SrtpError::kRejected;
  }
  Sources::Window* window = sources_.find(head->ssrc);
  const auto index = new_index(window, head->seq);
  if (!index) {
    return SrtpError::kReplayed;
  }
  (window != nullptr ? *window : sources_.add(head->ssrc)).accept(*index);
  keys_.cipher.seal(keys_.nonce(head->ssrc, *index), whole.first(head->size), whole.subspan(head->size), packet + len);
  len += AesGcm::kTag;
  return SrtpError::kNone;
}

SrtpError GcmReceiver::unprotect(std::uint8_t* packet, std::size_t& len) {
  if (len < kFixedHeader + AesGcm::kTag) {
    return SrtpError::kTooShort;
  }
  const MutableBytes whole(packet, len - AesGcm::kTag);
  const auto head = head_of(whole);
  if (!head) {
    return SrtpError::kRejected;
  }
  Sources::Window* window = sources_.find(head->ssrc);
  const auto index = new_index(window, head->seq);
  if (!index) {
    return SrtpError::kReplayed;
  }
  if (window == nullptr && sources_.size() == kMaxSources) {
    return SrtpError::kTooManySources;
  }
  const bool is_authentic = keys_.cipher.open(keys_.nonce(head->ssrc, *index), whole.first(head->size),
                                              whole.subspan(head->size), whole.data() + whole.size());
  if (!is_authentic) {
    return SrtpError::kRejected;
  }
  (window != nullptr ? *window : sources_.add(head->ssrc)).accept(*index);
  len = whole.size();
  return SrtpError::kNone;
}

}  // namespace parley
