#include "stun_probe.h"

#include "crc32.h"
#include "demux.h"

namespace parley {

namespace {

constexpr std::uint32_t kMagicCookie = 0x2112A442U;
constexpr std::uint16_t kUsername = 0x0006;
constexpr std::uint16_t kMessageIntegrity = 0x0008;
constexpr std::uint16_t kMessageIntegritySha256 = 0x001C;
constexpr std::uint16_t kFingerprintType = 0x8028;
constexpr std::uint16_t kIceControlled = 0x8029;
constexpr std::size_t kIntegritySize = 20;
constexpr std::size_t kMaxAttributes = 32;
constexpr std::size_t kMaxUsername = 513;    // RFC 8489 section 14.3
constexpr std::size_t kFingerprintSize = 8;  // attribute header and value

// Splits the interleaved class and method bits. Source: RFC 8489 section 5, figure 3.
StunClass class_of(std::uint16_t type) { return static_cast<StunClass>(((type >> 7) & 2U) | ((type >> 4) & 1U)); }
std::uint16_t method_of(std::uint16_t type) {
  return static_cast<std::uint16_t>((type & 0x000FU) | ((type >> 1) & 0x0070U) | ((type >> 2) & 0x0F80U));
}

// Of the others: ERROR-CODE, UNKNOWN-ATTRIBUTES, XOR-MAPPED-ADDRESS, PRIORITY, USE-CANDIDATE, and all that may be
// ignored.
bool is_understood(std::uint16_t name) {
  return name >= 0x8000 || name == 0x0009 || name == 0x000A || name == 0x0020 || name == 0x0024 || name == 0x0025;
}

}  // namespace

std::optional<StunProbe> probe_stun(Bytes datagram) {
  Reader reader(datagram);
  const std::uint16_t type = reader.u16();
  const std::uint16_t length = reader.u16();
  const std::uint32_t cookie = reader.u32();
  const Bytes transaction_id = reader.take(12);
  if (!reader.ok() || (type & 0xC000U) != 0 || cookie != kMagicCookie || length != reader.remaining() ||
      length % 4 != 0) {
    return std::nullopt;
  }
  StunProbe probe;
  probe.message_class = class_of(type);
  probe.method = method_of(type);
  probe.transaction_id = transaction_id;
  bool is_intact = false;
  for (std::size_t count = 0; !reader.empty(); ++count) {
    // FINGERPRINT is the last attribute (RFC 8489 section 14.7); nothing may follow it.
    if (count == kMaxAttributes || is_intact) {
      return std::nullopt;
    }
    const std::size_t start = reader.offset();
    const std::uint16_t name = reader.u16();
    const std::uint16_t size = reader.u16();
    const Bytes value = reader.take(size);
    reader.skip((4U - size % 4U) % 4U);
    if (!reader.ok()) {
      return std::nullopt;
    }
    switch (name) {
      case kUsername: {
        if (size > kMaxUsername) {
          return std::nullopt;
        }
        const std::string_view username = as_text(value);
        const auto colon = username.find(':');
        // The first USERNAME counts; a repeated attribute is ignored (RFC 8489 section 14).
        if (colon != std::string_view::npos && probe.ufrag.empty()) {
          probe.ufrag = username.substr(0, colon);
        }
        break;
      }
      case kMessageIntegrity:
        probe.has_integrity = true;
        if (probe.integrity_offset == 0 && size == kIntegritySize) {
          probe.integrity_offset = start;
        }
        break;
      case kMessageIntegritySha256:
        probe.has_integrity = true;
        break;
      case kIceControlled:
        probe.is_controlled = true;
        break;
      case kFingerprintType:
        if (size != 4 || start + kFingerprintSize != datagram.size() ||
            load_u32(value, 0) != (crc32(datagram.first(start)) ^ kStunFingerprintXor)) {
          return std::nullopt;
        }
        is_intact = true;
        break;
      default:
        probe.has_unknown = probe.has_unknown || (probe.integrity_offset == 0 && !is_understood(name));
        break;
    }
  }
  if (!is_intact) {
    return std::nullopt;
  }
  return probe;
}

}  // namespace parley
