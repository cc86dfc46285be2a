// The cheap test of a STUN datagram before Python sees it: well formed, FINGERPRINT right, and for whom.
// It proves nothing about the sender; MESSAGE-INTEGRITY is checked by whoever knows the password.
// Thread: any. Source: RFC 8489 sections 5, 14; RFC 8445 section 7.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bytes.h"

namespace parley {

enum class StunClass : std::uint8_t { kRequest = 0, kIndication = 1, kSuccess = 2, kError = 3 };

inline constexpr std::uint16_t kStunBinding = 0x0001;

struct StunProbe {
  StunClass message_class = StunClass::kRequest;
  std::uint16_t method = 0;
  // Bytes 8..19; a view into the datagram.
  Bytes transaction_id;
  // USERNAME up to its first ':', a view into the datagram; empty when there is no USERNAME or no ':' in it.
  std::string_view ufrag;
  bool has_integrity = false;
  std::size_t integrity_offset = 0;  // of the first MESSAGE-INTEGRITY; 0: there is none
  bool has_unknown = false;          // before it, an attribute that must be understood, and is not
  bool is_controlled = false;        // the sender takes itself for the controlled side

  [[nodiscard]] bool is_request() const { return message_class == StunClass::kRequest; }
};

// Nothing when: shorter than a header, wrong cookie, length field not equal to the datagram's or not a multiple of 4,
// an attribute that overruns, more than 32 attributes, a USERNAME over 513 bytes, FINGERPRINT absent, not last or
// wrong.
[[nodiscard]] std::optional<StunProbe> probe_stun(Bytes datagram);

}  // namespace parley
