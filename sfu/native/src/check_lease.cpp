#include "check_lease.h"

#include "crc32.h"

namespace parley {

namespace {

constexpr std::size_t kHeader = 20;
constexpr std::size_t kIntegrity = 4 + HmacTable::kBytes;
constexpr std::size_t kFingerprint = 8;
constexpr std::size_t kMaxCheck = 512;  // browsers' have about 120 bytes

std::uint64_t name_of(const StunProbe& probe) {
  return (static_cast<std::uint64_t>(load_u32(probe.transaction_id, 4)) << 32) | load_u32(probe.transaction_id, 8);
}

// The HMAC of a message up to its MESSAGE-INTEGRITY, whose header says that this is its last attribute.
bool sign(const HmacTable& hmac, std::string_view pwd, MutableBytes message,
          std::array<std::uint8_t, HmacTable::kBytes>& out) {
  store_u16(message, 2, static_cast<std::uint16_t>(message.size() - kHeader + kIntegrity));
  return hmac.sign(pwd, message, out);
}

bool is_equal(Bytes one, Bytes other) {
  std::uint8_t difference = 0;
  for (std::size_t index = 0; index < one.size(); ++index) {
    difference = static_cast<std::uint8_t>(difference | (one[index] ^ other[index]));
  }
  return difference == 0;
}

bool is_authentic(const HmacTable& hmac, std::string_view pwd, Bytes check, const StunProbe& probe) {
  std::array<std::uint8_t, kMaxCheck> copy;
  const std::size_t size = probe.integrity_offset;
  if (size == 0 || size > copy.size()) {
    return false;
  }
  copy_to(copy, 0, check.first(size));
  std::array<std::uint8_t, HmacTable::kBytes> expected;
  return sign(hmac, pwd, MutableBytes(copy).first(size), expected) &&
         is_equal(check.subspan(size + 4, HmacTable::kBytes), expected);
}

}  // namespace

std::size_t CheckLease::answer(const HmacTable& hmac, Bytes check, const StunProbe& probe, const Endpoint& remote,
                               TimeNs now, MutableBytes out) {
  if (pwd_.empty() || !hmac.is_complete() || probe.ufrag != ufrag_ || probe.is_controlled || probe.has_unknown ||
      !is_authentic(hmac, pwd_, check, probe)) {
    return 0;
  }
  Writer writer(out.first(kMaxAnswer));
  writer.u16(0x0101);
  writer.u16(0);
  writer.bytes(check.subspan(4, 16));  // cookie and transaction
  // XOR-MAPPED-ADDRESS: with the cookie, and beyond its four bytes with the transaction.
  const Bytes mask = check.subspan(4, 16);
  const Bytes ip = remote.is_v4() ? Bytes(remote.ip).last(4) : Bytes(remote.ip);
  writer.u16(0x0020);
  writer.u16(static_cast<std::uint16_t>(4 + ip.size()));
  writer.u16(remote.is_v4() ? 1 : 2);
  writer.u16(static_cast<std::uint16_t>(remote.port ^ load_u16(mask, 0)));
  for (std::size_t index = 0; index < ip.size(); ++index) {
    writer.u8(static_cast<std::uint8_t>(ip[index] ^ mask[index]));
  }
  std::array<std::uint8_t, HmacTable::kBytes> integrity;
  if (!sign(hmac, pwd_, out.first(writer.size()), integrity)) {
    return 0;
  }
  writer.u16(0x0008);
  writer.u16(static_cast<std::uint16_t>(integrity.size()));
  writer.bytes(integrity);
  const std::size_t size = writer.size() + kFingerprint;
  store_u16(out, 2, static_cast<std::uint16_t>(size - kHeader));
  const std::uint32_t crc = crc32(out.first(writer.size())) ^ kStunFingerprintXor;
  writer.u32(0x8028'0004);
  writer.u32(crc);
  // A repetition is answered, and says nothing of the peer: whoever overheard it may have sent it.
  if (!has_answered(probe)) {
    answered_.remember(name_of(probe));
    heard_ = now;
  }
  return writer.ok() ? size : 0;
}

bool CheckLease::has_answered(const StunProbe& probe) const { return answered_.knows(name_of(probe)); }

}  // namespace parley
