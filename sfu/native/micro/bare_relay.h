// The machine's bare limit: what any forwarder must do for each packet (recvmmsg, unprotect, copy, protect, sendmmsg
// with segment trains) and nothing else. No parsing, no munging, no feedback, no layers.
// Thread: `run` is its own; everything else before `start` or after `stop`, but for the counters.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "bytes.h"
#include "counters.h"
#include "endpoint.h"
#include "neighbours.h"
#include "send_arena.h"
#include "srtp.h"
#include "tcp_paths.h"
#include "udp_socket.h"

namespace parley {

class BareRelay {
 public:
  static constexpr int kNobody = -1;

  explicit BareRelay(const SrtpTable& table) : table_(table) {}
  ~BareRelay() { stop(); }
  BareRelay(const BareRelay&) = delete;
  BareRelay& operator=(const BareRelay&) = delete;

  // Binds; empty, or why not.
  std::string open(const std::string& ip);
  [[nodiscard]] std::uint16_t port() const { return sockets_.front()->local().port; }
  void add_publisher(const Endpoint& remote, void* rx, SrtpProfile profile, SrtpCiphers ciphers);
  // `except`: the publisher, by its place, that this receiver does not get; kNobody: it gets all.
  void add_receiver(const Endpoint& remote, void* tx, SrtpProfile profile, SrtpCiphers ciphers, int except);
  void start();
  void stop();

  [[nodiscard]] std::uint64_t packets() const { return packets_.load(); }
  [[nodiscard]] std::uint64_t messages() const { return messages_.load(); }

 private:
  struct Publisher {
    Endpoint remote;
    Srtp srtp;
  };
  struct Receiver {
    PathId path;
    Srtp srtp;
    int except = kNobody;
  };
  struct Taken {
    Bytes packet;  // decrypted, in the batch's buffers
    int publisher = 0;
  };

  void run();
  void take();
  void take(const Endpoint& from, MutableBytes datagram);
  void fan_out();

  const SrtpTable table_;
  TcpAdmission admission_;
  Counters counters_;
  TcpPaths tcp_{admission_, counters_};
  std::vector<std::unique_ptr<UdpSocket>> sockets_;
  std::unique_ptr<SendArena> arena_;
  ReceiveBatch batch_;
  std::vector<Publisher> publishers_;
  std::vector<Receiver> receivers_;
  std::vector<Taken> taken_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> packets_{0};
  std::atomic<std::uint64_t> messages_{0};
  std::thread thread_;
};

}  // namespace parley
