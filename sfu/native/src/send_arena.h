// Gathers outgoing datagrams of one batch: consecutive ones of equal length on one path become one train.
// Thread: the worker that owns it.
#pragma once

#include "counters.h"
#include "path_id.h"
#include "tcp_paths.h"
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

  SendArena(std::span<const std::unique_ptr<UdpSocket>> sockets, TcpPaths& tcp, Counters& counters);

  // Room for one datagram of up to kMaxDatagram bytes; flushes first when there is none.
  std::span<std::uint8_t> claim();
  // Takes the first `bytes` of the last claim as one datagram on `path`.
  void commit(const PathId& path, std::size_t bytes);
  // Sends everything gathered. Afterwards the arena holds nothing.
  void flush();

  [[nodiscard]] bool is_empty() const { return trains_.empty(); }

 private:
  void send_tcp(std::uint32_t local, std::span<const Train> trains);

  std::span<const std::unique_ptr<UdpSocket>> sockets_;
  TcpPaths& tcp_;
  Counters& counters_;
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t used_ = 0;
  std::vector<Train> trains_;
  std::vector<std::uint32_t> train_sockets_;  // PathId::local()
  bool last_is_closed_ = true;
};

}  // namespace parley
