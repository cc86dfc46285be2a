// Gathers outgoing datagrams of one batch: consecutive ones of equal length to one peer become one train.
// Thread: the worker that owns it.
#pragma once

#include "counters.h"
#include "endpoint.h"
#include "udp_socket.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace parley {

class SendArena {
 public:
  // Small enough to stay in the second-level cache between writing a packet and the kernel's copy of it.
  static constexpr std::size_t kBytes = 256 * 1024;
  static constexpr std::size_t kMaxDatagram = 2048;

  SendArena(std::span<const std::unique_ptr<UdpSocket>> sockets, Counters& counters);

  // Room for one datagram of up to kMaxDatagram bytes; flushes first when there is none.
  std::span<std::uint8_t> claim();
  // Takes the first `bytes` of the last claim as one datagram to `to` by `socket`.
  void commit(std::uint32_t socket, const Endpoint& to, std::size_t bytes);
  // Sends everything gathered. Afterwards the arena holds nothing.
  void flush();

  [[nodiscard]] bool is_empty() const { return trains_.empty(); }

 private:
  std::span<const std::unique_ptr<UdpSocket>> sockets_;
  Counters& counters_;
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t used_ = 0;
  std::vector<Train> trains_;
  std::vector<std::uint32_t> train_sockets_;
  bool last_is_closed_ = true;
};

}  // namespace parley
