// A remote or local UDP address as a plain, hashable value.
// Thread: any (a value type).
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace parley {

// IPv4 addresses are held in their v4-mapped form, so that one comparison serves both families.
struct Endpoint {
  std::array<std::uint8_t, 16> ip{};
  std::uint16_t port = 0;  // host order

  static std::optional<Endpoint> parse(const std::string& ip, std::uint16_t port);
  static Endpoint from(const sockaddr_storage& address);

  [[nodiscard]] bool is_v4() const;
  [[nodiscard]] std::string ip_text() const;
  // Writes the sockaddr of a socket of this family; returns its length.
  socklen_t write(sockaddr_storage& out) const;
  [[nodiscard]] std::uint64_t hash(std::uint64_t seed) const;
  // The address alone, without the port.
  [[nodiscard]] std::uint64_t hash_ip(std::uint64_t seed) const;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// As the socket calls want it.
inline sockaddr* as_sockaddr(sockaddr_storage* address) { return static_cast<sockaddr*>(static_cast<void*>(address)); }

}  // namespace parley
