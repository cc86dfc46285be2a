// Which transport a (socket, remote address) pair belongs to: the first look at every datagram.
// Flat, linear probing, keyed by a secret, so that a stranger's choice of addresses cannot build long runs.
// Thread: the worker that owns it.
#pragma once

#include <cstdint>
#include <vector>

#include "endpoint.h"

namespace parley {

struct Transport;

class PathTable {
 public:
  explicit PathTable(std::uint64_t seed) : seed_(seed), slots_(kFirstSlots) {}

  [[nodiscard]] Transport* find(std::uint32_t socket, const Endpoint& remote) const;
  // Replaces what the pair belonged to; returns the former owner, or null.
  Transport* put(std::uint32_t socket, const Endpoint& remote, Transport* transport);
  void erase(std::uint32_t socket, const Endpoint& remote);
  [[nodiscard]] std::size_t size() const { return used_; }

 private:
  static constexpr std::size_t kFirstSlots = 64;  // power of two

  struct Slot {
    Endpoint remote;
    std::uint32_t socket = 0;
    Transport* transport = nullptr;
  };
  [[nodiscard]] std::size_t home(std::uint32_t socket, const Endpoint& remote) const {
    return remote.hash(seed_ ^ socket) & (slots_.size() - 1);
  }
  // The pair's slot, or the empty one where it would go.
  [[nodiscard]] std::size_t locate(std::uint32_t socket, const Endpoint& remote) const;
  void grow();

  std::uint64_t seed_;
  std::vector<Slot> slots_;
  std::size_t used_ = 0;
};

}  // namespace parley
