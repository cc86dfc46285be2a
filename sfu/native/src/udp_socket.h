// One bound UDP socket: batches in by recvmmsg with UDP_GRO, trains out by sendmmsg with UDP_SEGMENT.
// Thread: the worker that owns it.
#pragma once

#include "counters.h"
#include "endpoint.h"
#include "unique_fd.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace parley {

// What one recvmmsg brought. Buffers are reused: spans live until the next receive.
class ReceiveBatch {
 public:
  static constexpr std::size_t kMessages = 32;
  static constexpr std::size_t kBufferBytes = 65536;  // a GRO message holds up to 64 KiB

  struct Message {
    Endpoint from;
    std::span<std::uint8_t> data;
    std::size_t segment_bytes = 0;  // length of each datagram in `data`, the last may be shorter
  };

  ReceiveBatch();

  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] const Message& operator[](std::size_t index) const { return messages_[index]; }

 private:
  friend class UdpSocket;

  std::unique_ptr<std::uint8_t[]> buffers_;
  std::array<mmsghdr, kMessages> headers_{};
  std::array<iovec, kMessages> vectors_{};
  std::array<sockaddr_storage, kMessages> names_{};
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(int))> bytes{};
  };
  std::array<Control, kMessages> controls_{};
  std::array<Message, kMessages> messages_{};
  std::size_t count_ = 0;
};

// One message to send: a train of datagrams to one peer, each `segment_bytes` long, the last may be shorter.
struct Train {
  Endpoint to;
  std::uint8_t* data = nullptr;
  std::uint32_t bytes = 0;
  std::uint16_t segment_bytes = 0;
  std::uint16_t segments = 0;
};

class UdpSocket {
 public:
  // The kernel refuses longer trains (UDP_MAX_SEGMENTS of older kernels, and the 16-bit UDP length).
  static constexpr std::size_t kMaxSegments = 64;
  static constexpr std::size_t kMaxTrainBytes = 64'000;
  static constexpr std::size_t kMaxTrains = 64;  // in one sendmmsg

  // Binds to an address; port 0 = any. Null with the reason in `error`.
  // `gro`: take trains whole. Only a receiver that measures the kernel's plain path says no.
  static std::unique_ptr<UdpSocket> open(const std::string& ip, std::uint16_t port, bool gro, std::string& error);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const Endpoint& local() const { return local_; }

  // One recvmmsg; 0 messages when nothing waits.
  void receive(ReceiveBatch& batch, Counters& counters);

  // Sends all trains or counts why not. Never blocks, never retries what the kernel has no room for.
  void send(std::span<const Train> trains, Counters& counters);

  // Tests and refusing kernels: send datagram by datagram.
  void disable_segmentation() { segmentation_ = false; }

 private:
  UdpSocket() = default;

  void send_messages(std::span<const Train> trains, Counters& counters);
  void send_apart(const Train& train, Counters& counters);
  void count_failure(int error, std::uint64_t datagrams, Counters& counters);

  UniqueFd fd_;
  Endpoint local_;
  bool segmentation_ = true;
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(std::uint16_t))> bytes{};
  };
  std::array<mmsghdr, kMaxTrains> headers_{};
  std::array<iovec, kMaxTrains> vectors_{};
  std::array<sockaddr_storage, kMaxTrains> names_{};
  std::array<Control, kMaxTrains> controls_{};
};

}  // namespace parley
