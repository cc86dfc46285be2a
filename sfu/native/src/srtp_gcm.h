// SRTP with AEAD_AES_128_GCM, each direction of one transport: what libsrtp does for RTP packets, on `AesGcm`. It
// refuses to seal an index twice, since one nonce for two packets would give the key of the tags away. Thread: the
// worker that owns the transport. Source: RFC 3711 sections 3.3 and 4.3, RFC 7714 sections 8 and 9.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "aes_gcm.h"
#include "bytes.h"
#include "replay_window.h"

namespace parley {

enum class SrtpError : std::uint8_t {
  kNone,
  kNoSession,
  kTooShort,  // never handed to the cipher: short packets are where such code has underflowed
  kReplayed,
  kRejected,
  kTooManySources,
};

// The session key and salt of RTP packets.
class GcmKeys {
 public:
  static constexpr std::size_t kSalt = 12;
  static constexpr std::size_t kMaster = AesGcm::kKey + kSalt;
  using Salt = std::array<std::uint8_t, kSalt>;

  // Master key, then master salt; the key derivation rate is 0. `AesGcm` is available.
  static GcmKeys derive(std::span<const std::uint8_t, kMaster> master);

  GcmKeys(AesGcm::Key session_key, const Salt& session_salt) : cipher(session_key), salt(session_salt) {}

  [[nodiscard]] AesGcm::Nonce nonce(std::uint32_t ssrc, std::uint64_t index) const;
  [[nodiscard]] bool is_same(const GcmKeys& other) const {
    return salt == other.salt && cipher.has_key_of(other.cipher);
  }

  AesGcm cipher;
  Salt salt;
};

// The sources of one direction, with what of them has passed: a flat table, so that a packet touches one place of it.
// None is ever forgotten while the keys live: what was sealed or opened once must not be again.
template <std::size_t Span>
class SrtpSources {
 public:
  using Window = ReplayWindow<Span>;

  // `secret` spreads SSRCs over the table: remotes choose theirs.
  explicit SrtpSources(std::uint64_t secret) : factor_(secret | 1U), slots_(kFirstSlots) {}

  // Null when unknown; valid until the next `add`.
  [[nodiscard]] Window* find(std::uint32_t ssrc) {
    Slot& slot = slots_[place(ssrc)];
    return slot.window.is_empty() ? nullptr : &slot.window;
  }
  // `ssrc` is unknown, and stays so until its window accepts something. Valid until the next `add`.
  Window& add(std::uint32_t ssrc) {
    if (2 * (size_ + 1) > slots_.size()) {
      grow();
    }
    ++size_;
    Slot& slot = slots_[place(ssrc)];
    slot.ssrc = ssrc;
    return slot.window;
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kFirstSlots = 4;  // powers of two

  struct Slot {
    std::uint32_t ssrc = 0;
    Window window;
  };

  // Where `ssrc` is, or would be: at most half of the slots are taken.
  [[nodiscard]] std::size_t place(std::uint32_t ssrc) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t index = static_cast<std::size_t>((ssrc * factor_) >> 32U) & mask;
    while (!slots_[index].window.is_empty() && slots_[index].ssrc != ssrc) {
      index = (index + 1) & mask;
    }
    return index;
  }
  void grow() {
    std::vector<Slot> before(2 * slots_.size());
    before.swap(slots_);
    for (const Slot& slot : before) {
      if (!slot.window.is_empty()) {
        slots_[place(slot.ssrc)] = slot;
      }
    }
  }

  std::uint64_t factor_;
  std::size_t size_ = 0;
  std::vector<Slot> slots_;
};

// The index (rollover counter and sequence number) that `seq` most likely is, next to the newest one.
// Source: RFC 3711 section 3.3.1.
std::uint64_t estimate_index(std::uint64_t newest, std::uint16_t seq);

class GcmSender {
 public:
  GcmSender(GcmKeys keys, std::uint64_t seed) : keys_(std::move(keys)), sources_(seed) {}

  // As `Srtp::protect_rtp`.
  SrtpError protect(std::uint8_t* packet, std::size_t& len);
  [[nodiscard]] bool has_keys_of(const GcmSender& other) const { return keys_.is_same(other.keys_); }

 private:
  // As many as a publisher's store holds: what it repairs late is sent on late.
  using Sources = SrtpSources<1024>;

  GcmKeys keys_;
  Sources sources_;
};

class GcmReceiver {
 public:
  // A day of a camera that comes and goes every minute, in 2.5 MB at most.
  static constexpr std::size_t kMaxSources = 8192;

  GcmReceiver(GcmKeys keys, std::uint64_t seed) : keys_(std::move(keys)), sources_(seed) {}

  // As `Srtp::unprotect_rtp`. A new source costs memory only once a packet of it is authentic.
  SrtpError unprotect(std::uint8_t* packet, std::size_t& len);
  [[nodiscard]] bool has_keys_of(const GcmReceiver& other) const { return keys_.is_same(other.keys_); }

 private:
  using Sources = SrtpSources<1024>;

  GcmKeys keys_;
  Sources sources_;
};

}  // namespace parley
