// SRTP through a table of four functions: the wheel's libsrtp in the product, a test cipher in stand-alone builds. RTP
// packets of AES-128-GCM go past it where the core has a faster cipher (srtp_gcm.h).
// Thread: the worker that owns the transport; a session is never used from two threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "srtp_gcm.h"

namespace parley {

// libsrtp 2's signature: in place, `len` in and out, 0 = ok.
using SrtpFunction = int (*)(void* session, void* packet, int* len);

struct SrtpTable {
  SrtpFunction protect = nullptr;
  SrtpFunction unprotect = nullptr;
  SrtpFunction protect_rtcp = nullptr;
  SrtpFunction unprotect_rtcp = nullptr;

  [[nodiscard]] bool is_complete() const {
    return protect != nullptr && unprotect != nullptr && protect_rtcp != nullptr && unprotect_rtcp != nullptr;
  }
  static SrtpTable from_addresses(std::uintptr_t protect, std::uintptr_t unprotect, std::uintptr_t protect_rtcp,
                                  std::uintptr_t unprotect_rtcp);
  static void* session_from_address(std::uintptr_t address);
};

// Bytes that protection adds at the end of a packet. Source: RFC 7714 section 13, RFC 3711 sections 3.1 and 3.4.
struct SrtpProfile {
  std::uint8_t rtp_trailer = 0;
  std::uint8_t rtcp_trailer = 0;  // tag and the 4-byte E flag and index

  static std::optional<SrtpProfile> by_name(std::string_view name);
};

inline constexpr std::size_t kMaxSrtpTrailer = 16 + 4;

// AES-128-GCM of RTP packets by the core's own cipher; null: the table's functions do it.
struct SrtpCiphers {
  std::shared_ptr<GcmReceiver> rx;
  std::shared_ptr<GcmSender> tx;

  // From both masters (key, then salt) of a session; an empty one has no cipher, nor has anything where the core has no
  // cipher of its own. `seed` is secret.
  static SrtpCiphers derive(Bytes rx_master, Bytes tx_master, std::uint64_t seed);
};

// Both directions of one transport's keys. The sessions belong to Python, which keeps them until removal is
// acknowledged.
class Srtp {
 public:
  Srtp() = default;
  Srtp(const SrtpTable* table, void* rx, void* tx, SrtpProfile profile, SrtpCiphers ciphers = {})
      : table_(table), rx_(rx), tx_(tx), profile_(profile), ciphers_(std::move(ciphers)) {}

  // Takes over what `before` knows to have passed, when its keys are these: told twice they are still one session.
  void continue_from(const Srtp& before);

  [[nodiscard]] bool can_receive() const { return rx_ != nullptr; }
  [[nodiscard]] bool can_send() const { return tx_ != nullptr; }
  [[nodiscard]] const SrtpProfile& profile() const { return profile_; }

  // In place; `len` shrinks. `packet` has `len` bytes.
  SrtpError unprotect_rtp(std::uint8_t* packet, std::size_t& len) const;
  SrtpError unprotect_rtcp(std::uint8_t* packet, std::size_t& len) const;
  // In place; `len` grows by the profile's trailer: the caller has kMaxSrtpTrailer bytes to spare behind `len`.
  SrtpError protect_rtp(std::uint8_t* packet, std::size_t& len) const;
  SrtpError protect_rtcp(std::uint8_t* packet, std::size_t& len) const;

 private:
  static SrtpError run(SrtpFunction function, void* session, std::uint8_t* packet, std::size_t& len);

  const SrtpTable* table_ = nullptr;
  void* rx_ = nullptr;
  void* tx_ = nullptr;
  SrtpProfile profile_;
  SrtpCiphers ciphers_;
};

}  // namespace parley
