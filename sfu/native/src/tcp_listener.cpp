#include "tcp_listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace parley {

namespace {

constexpr int kBacklog = 128;
constexpr int kSendBytes = 256 * 1024;
// What the kernel may hold unsent; the rest waits, and is dropped, in our own bounded buffer.
constexpr int kUnsentBytes = 32 * 1024;

}  // namespace

std::unique_ptr<TcpListener> TcpListener::open(const std::string& ip, std::uint16_t port, std::string& error) {
  const auto endpoint = Endpoint::parse(ip, port);
  if (!endpoint) {
    error = "not an IP address: " + ip;
    return nullptr;
  }
  auto made = std::make_unique<TcpListener>();
  made->fd_ = UniqueFd(socket(endpoint->is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int fd = made->fd_.get();
  const int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!endpoint->is_v4()) {
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  sockaddr_storage name{};
  socklen_t length = endpoint->write(name);
  if (fd < 0 || bind(fd, as_sockaddr(&name), length) != 0 || listen(fd, kBacklog) != 0) {
    error = "listen on " + ip + " port " + std::to_string(port) + ": " + std::strerror(errno);
    return nullptr;
  }
  length = sizeof name;
  if (getsockname(fd, as_sockaddr(&name), &length) != 0) {
    error = std::string("getsockname: ") + std::strerror(errno);
    return nullptr;
  }
  made->local_ = Endpoint::from(name);
  return made;
}

std::optional<TcpListener::Accepted> TcpListener::accept() const {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  UniqueFd fd(accept4(fd_.get(), as_sockaddr(&name), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.is_open()) {
    return std::nullopt;
  }
  const int on = 1;
  (void)setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &kSendBytes, sizeof kSendBytes);
  (void)setsockopt(fd.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytes, sizeof kUnsentBytes);
  return Accepted{std::move(fd), Endpoint::from(name)};
}

}  // namespace parley
