#include "test_cipher.h"

#include <cstddef>
#include <cstring>
#include <span>

namespace parley {

namespace {

constexpr std::size_t kTag = 16;
constexpr std::size_t kRtpClear = 12;
constexpr std::size_t kRtcpClear = 8;
constexpr std::size_t kIndex = 4;
constexpr int kBadParameter = 2;
constexpr int kAuthFailed = 7;

void write_tag(std::uint8_t key, std::span<const std::uint8_t> data, std::uint8_t* tag) {
  std::uint64_t low = 0xcbf29ce484222325ULL ^ key;
  std::uint64_t high = 0x9e3779b97f4a7c15ULL + key;
  for (const std::uint8_t byte : data) {
    low = (low ^ byte) * 0x100000001b3ULL;
    high = (high + byte) * 0xff51afd7ed558ccdULL;
    high ^= high >> 29;
  }
  std::memcpy(tag, &low, 8);
  std::memcpy(tag + 8, &high, 8);
}

// The header (with CSRCs and extension) stays readable, as in SRTP; so does everything when it does not parse.
std::size_t clear_bytes(const std::uint8_t* packet, std::size_t len) {
  std::size_t clear = kRtpClear + static_cast<std::size_t>(packet[0] & 0x0f) * 4;
  if ((packet[0] & 0x10) != 0 && len >= clear + 4) {
    const std::size_t words = (static_cast<std::size_t>(packet[clear + 2]) << 8) | packet[clear + 3];
    clear += 4 + words * 4;
  }
  return clear < len ? clear : len;
}

void apply(std::uint8_t key, std::uint8_t* packet, std::size_t from, std::size_t len) {
  for (std::size_t at = from; at < len; ++at) {
    packet[at] ^= key;
  }
}

// libsrtp's signatures.
// NOLINTBEGIN(misc-const-correctness)
int protect(void* session, void* data, int* len) {
  const auto* cipher = static_cast<const TestCipher*>(session);
  auto* packet = static_cast<std::uint8_t*>(data);
  const auto size = static_cast<std::size_t>(*len);
  if (size < kRtpClear) {
    return kBadParameter;
  }
  apply(cipher->key, packet, clear_bytes(packet, size), size);
  write_tag(cipher->key, {packet, size}, packet + size);
  *len = static_cast<int>(size + kTag);
  return 0;
}

int unprotect(void* session, void* data, int* len) {
  const auto* cipher = static_cast<const TestCipher*>(session);
  auto* packet = static_cast<std::uint8_t*>(data);
  if (static_cast<std::size_t>(*len) < kRtpClear + kTag) {
    return kBadParameter;
  }
  const std::size_t size = static_cast<std::size_t>(*len) - kTag;
  std::uint8_t tag[kTag];
  write_tag(cipher->key, {packet, size}, tag);
  if (std::memcmp(tag, packet + size, kTag) != 0) {
    return kAuthFailed;
  }
  apply(cipher->key, packet, clear_bytes(packet, size), size);
  *len = static_cast<int>(size);
  return 0;
}

int protect_rtcp(void* session, void* data, int* len) {
  const auto* cipher = static_cast<const TestCipher*>(session);
  auto* packet = static_cast<std::uint8_t*>(data);
  auto size = static_cast<std::size_t>(*len);
  if (size < kRtcpClear) {
    return kBadParameter;
  }
  apply(cipher->key, packet, kRtcpClear, size);
  std::memset(packet + size, 0, kIndex);
  packet[size] = 0x80;
  size += kIndex;
  write_tag(cipher->key, {packet, size}, packet + size);
  *len = static_cast<int>(size + kTag);
  return 0;
}

int unprotect_rtcp(void* session, void* data, int* len) {
  const auto* cipher = static_cast<const TestCipher*>(session);
  auto* packet = static_cast<std::uint8_t*>(data);
  if (static_cast<std::size_t>(*len) < kRtcpClear + kIndex + kTag) {
    return kBadParameter;
  }
  std::size_t size = static_cast<std::size_t>(*len) - kTag;
  std::uint8_t tag[kTag];
  write_tag(cipher->key, {packet, size}, tag);
  if (std::memcmp(tag, packet + size, kTag) != 0) {
    return kAuthFailed;
  }
  size -= kIndex;
  apply(cipher->key, packet, kRtcpClear, size);
  *len = static_cast<int>(size);
  return 0;
}
// NOLINTEND(misc-const-correctness)

}  // namespace

const SrtpTable& TestCipher::table() {
  static const SrtpTable table{protect, unprotect, protect_rtcp, unprotect_rtcp};
  return table;
}

}  // namespace parley
