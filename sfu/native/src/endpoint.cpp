#include "endpoint.h"

#include <arpa/inet.h>

#include <cstring>

namespace parley {

namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::uint64_t mix(std::uint64_t value) {
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93ULL;
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93ULL;
  value ^= value >> 32;
  return value;
}

}  // namespace

std::optional<Endpoint> Endpoint::parse(const std::string& ip, std::uint16_t port) {
  Endpoint endpoint;
  endpoint.port = port;
  in_addr v4{};
  if (inet_pton(AF_INET, ip.c_str(), &v4) == 1) {
    std::memcpy(endpoint.ip.data(), kMappedPrefix.data(), kMappedPrefix.size());
    std::memcpy(endpoint.ip.data() + 12, &v4, 4);
    return endpoint;
  }
  in6_addr v6{};
  if (inet_pton(AF_INET6, ip.c_str(), &v6) == 1) {
    std::memcpy(endpoint.ip.data(), &v6, 16);
    return endpoint;
  }
  return std::nullopt;
}

Endpoint Endpoint::from(const sockaddr_storage& address) {
  Endpoint endpoint;
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    std::memcpy(endpoint.ip.data(), kMappedPrefix.data(), kMappedPrefix.size());
    std::memcpy(endpoint.ip.data() + 12, &v4.sin_addr, 4);
    endpoint.port = ntohs(v4.sin_port);
  } else {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    std::memcpy(endpoint.ip.data(), &v6.sin6_addr, 16);
    endpoint.port = ntohs(v6.sin6_port);
  }
  return endpoint;
}

bool Endpoint::is_v4() const { return std::memcmp(ip.data(), kMappedPrefix.data(), kMappedPrefix.size()) == 0; }

std::string Endpoint::ip_text() const {
  char text[INET6_ADDRSTRLEN] = {};
  if (is_v4()) {
    inet_ntop(AF_INET, ip.data() + 12, text, sizeof text);
  } else {
    inet_ntop(AF_INET6, ip.data(), text, sizeof text);
  }
  return text;
}

socklen_t Endpoint::write(sockaddr_storage& out) const {
  if (is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, ip.data() + 12, 4);
    std::memcpy(&out, &v4, sizeof v4);
    return sizeof v4;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, ip.data(), 16);
  std::memcpy(&out, &v6, sizeof v6);
  return sizeof v6;
}

std::uint64_t Endpoint::hash_ip(std::uint64_t seed) const {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  std::memcpy(&low, ip.data(), 8);
  std::memcpy(&high, ip.data() + 8, 8);
  return mix(low ^ mix(high ^ mix(seed)));
}

std::uint64_t Endpoint::hash(std::uint64_t seed) const { return mix(hash_ip(seed) + port); }

}  // namespace parley
