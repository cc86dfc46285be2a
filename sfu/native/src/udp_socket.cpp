#include "udp_socket.h"

#include <netinet/udp.h>

#include <cerrno>
#include <cstring>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace parley {

namespace {

constexpr int kBufferBytes = 4 << 20;

// The FORCE forms pass net.core.*mem_max with CAP_NET_ADMIN; without it the plain forms take what is allowed.
void grow_buffers(int fd) {
  const int bytes = kBufferBytes;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0) {
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  }
}

std::size_t gro_segment(msghdr& header, std::size_t bytes) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr; control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
      int segment = 0;
      std::memcpy(&segment, CMSG_DATA(control), sizeof segment);
      return segment > 0 ? static_cast<std::size_t>(segment) : bytes;
    }
  }
  return bytes;
}

// Errors by which kernels and drivers say that they will not segment this train (too long for the path's MTU, no
// checksum offload, option unknown); each datagram alone may still pass.
bool is_segmentation_refused(int error) {
  return error == EIO || error == EINVAL || error == EMSGSIZE || error == ENOPROTOOPT || error == EOPNOTSUPP;
}

}  // namespace

ReceiveBatch::ReceiveBatch() : buffers_(new std::uint8_t[kMessages * kBufferBytes]) {
  for (std::size_t index = 0; index < kMessages; ++index) {
    vectors_[index] = {buffers_.get() + index * kBufferBytes, kBufferBytes};
  }
}

std::unique_ptr<UdpSocket> UdpSocket::open(const std::string& ip, std::uint16_t port, bool gro, std::string& error) {
  const auto endpoint = Endpoint::parse(ip, port);
  if (!endpoint) {
    error = "not an IP address: " + ip;
    return nullptr;
  }
  std::unique_ptr<UdpSocket> made(new UdpSocket());
  made->fd_ = UniqueFd(socket(endpoint->is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made->fd_.is_open()) {
    error = std::string("socket: ") + std::strerror(errno);
    return nullptr;
  }
  const int fd = made->fd_.get();
  const int on = 1;
  if (!endpoint->is_v4()) {
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  grow_buffers(fd);
  if (gro) {
    (void)setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
  }
  sockaddr_storage name{};
  const socklen_t length = endpoint->write(name);
  if (bind(fd, as_sockaddr(&name), length) != 0) {
    error = "bind " + ip + " port " + std::to_string(port) + ": " + std::strerror(errno);
    return nullptr;
  }
  sockaddr_storage bound{};
  socklen_t bound_length = sizeof bound;
  if (getsockname(fd, as_sockaddr(&bound), &bound_length) != 0) {
    error = std::string("getsockname: ") + std::strerror(errno);
    return nullptr;
  }
  made->local_ = Endpoint::from(bound);
  return made;
}

void UdpSocket::receive(ReceiveBatch& batch, Counters& counters) {
  batch.count_ = 0;
  for (std::size_t index = 0; index < ReceiveBatch::kMessages; ++index) {
    msghdr& header = batch.headers_[index].msg_hdr;
    header.msg_name = &batch.names_[index];
    header.msg_namelen = sizeof(sockaddr_storage);
    header.msg_iov = &batch.vectors_[index];
    header.msg_iovlen = 1;
    header.msg_control = batch.controls_[index].bytes.data();
    header.msg_controllen = batch.controls_[index].bytes.size();
    header.msg_flags = 0;
  }
  const int got = recvmmsg(fd_.get(), batch.headers_.data(), ReceiveBatch::kMessages, MSG_DONTWAIT, nullptr);
  if (got <= 0) {
    return;
  }
  for (std::size_t index = 0; index < static_cast<std::size_t>(got); ++index) {
    mmsghdr& header = batch.headers_[index];
    const std::size_t bytes = header.msg_len;
    if ((header.msg_hdr.msg_flags & MSG_TRUNC) != 0) {
      counters.add(Counter::drop_truncated);
      continue;
    }
    ReceiveBatch::Message& message = batch.messages_[batch.count_++];
    message.from = Endpoint::from(batch.names_[index]);
    message.data = {static_cast<std::uint8_t*>(batch.vectors_[index].iov_base), bytes};
    message.segment_bytes = gro_segment(header.msg_hdr, bytes);
    counters.add(Counter::messages_received);
    counters.add(Counter::bytes_received, bytes);
  }
}

void UdpSocket::send(std::span<const Train> trains, Counters& counters) {
  while (!trains.empty()) {
    const auto part = trains.first(std::min(trains.size(), kMaxTrains));
    send_messages(part, counters);
    trains = trains.subspan(part.size());
  }
}

void UdpSocket::send_messages(std::span<const Train> trains, Counters& counters) {
  for (std::size_t index = 0; index < trains.size(); ++index) {
    const Train& train = trains[index];
    msghdr& header = headers_[index].msg_hdr;
    vectors_[index] = {train.data, train.bytes};
    header.msg_name = &names_[index];
    header.msg_namelen = train.to.write(names_[index]);
    header.msg_iov = &vectors_[index];
    header.msg_iovlen = 1;
    header.msg_flags = 0;
    header.msg_control = nullptr;
    header.msg_controllen = 0;
    if (train.segments > 1) {
      header.msg_control = controls_[index].bytes.data();
      header.msg_controllen = controls_[index].bytes.size();
      cmsghdr* control = CMSG_FIRSTHDR(&header);
      control->cmsg_level = SOL_UDP;
      control->cmsg_type = UDP_SEGMENT;
      control->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
      std::memcpy(CMSG_DATA(control), &train.segment_bytes, sizeof(std::uint16_t));
    }
  }
  std::size_t at = 0;
  while (at < trains.size()) {
    const Train& first = trains[at];
    if (!segmentation_ && first.segments > 1) {
      send_apart(first, counters);
      ++at;
      continue;
    }
    std::size_t until = trains.size();
    if (!segmentation_) {
      until = at + 1;
    }
    const int sent =
        sendmmsg(fd_.get(), headers_.data() + at, static_cast<unsigned>(until - at), MSG_DONTWAIT | MSG_NOSIGNAL);
    counters.add(Counter::send_calls);
    if (sent <= 0) {
      const int error = errno;
      if (error == EINTR) {
        continue;
      }
      if (first.segments > 1 && is_segmentation_refused(error)) {
        counters.add(Counter::gso_refused);
        // EMSGSIZE and EINVAL may concern this one path; the others mean that the device will never segment.
        segmentation_ = error == EMSGSIZE || error == EINVAL;
        send_apart(first, counters);
      } else {
        count_failure(error, first.segments, counters);
      }
      ++at;
      continue;
    }
    for (std::size_t index = at; index < at + static_cast<std::size_t>(sent); ++index) {
      counters.add(Counter::messages_sent);
      counters.add(Counter::datagrams_sent, trains[index].segments);
      counters.add(Counter::bytes_sent, trains[index].bytes);
    }
    at += static_cast<std::size_t>(sent);
  }
}

void UdpSocket::send_apart(const Train& train, Counters& counters) {
  sockaddr_storage name{};
  const socklen_t length = train.to.write(name);
  for (std::uint32_t offset = 0; offset < train.bytes; offset += train.segment_bytes) {
    const std::size_t bytes = std::min<std::size_t>(train.segment_bytes, train.bytes - offset);
    const ssize_t sent =
        sendto(fd_.get(), train.data + offset, bytes, MSG_DONTWAIT | MSG_NOSIGNAL, as_sockaddr(&name), length);
    counters.add(Counter::send_calls);
    if (sent < 0) {
      count_failure(errno, 1, counters);
      continue;
    }
    counters.add(Counter::messages_sent);
    counters.add(Counter::datagrams_sent);
    counters.add(Counter::bytes_sent, bytes);
  }
}

void UdpSocket::count_failure(int error, std::uint64_t datagrams, Counters& counters) {
  if (error == EAGAIN || error == EWOULDBLOCK) {
    counters.add(Counter::drop_send_would_block, datagrams);
  } else if (error == ENOBUFS || error == ENOMEM) {
    counters.add(Counter::drop_send_no_buffers, datagrams);
  } else {
    counters.add(Counter::drop_send_refused, datagrams);
  }
}

}  // namespace parley
