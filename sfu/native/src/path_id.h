// One way between a peer and us: what carries it, our socket, its address.
// Thread: any (a value type).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "endpoint.h"

namespace parley {

enum class PathKind : std::uint8_t { kUdp, kTcp };

[[nodiscard]] constexpr std::string_view path_kind_name(PathKind kind) {
  return kind == PathKind::kUdp ? std::string_view("udp") : std::string_view("tcp");
}

[[nodiscard]] constexpr std::optional<PathKind> path_kind_from_name(std::string_view name) {
  if (name == "udp") {
    return PathKind::kUdp;
  }
  return name == "tcp" ? std::optional(PathKind::kTcp) : std::nullopt;
}

struct PathId {
  std::uint32_t socket = 0;  // index of the worker's UDP socket, or of the engine's TCP listener
  Endpoint remote;
  PathKind kind = PathKind::kUdp;

  // Both kinds' sockets in one row of numbers.
  [[nodiscard]] std::uint32_t local() const { return kind == PathKind::kUdp ? socket : socket | 0x8000'0000U; }

  friend bool operator==(const PathId&, const PathId&) = default;
};

}  // namespace parley
