// One bound TCP socket that accepts peers' connections (ICE-TCP, passive).
// Thread: the worker that accepts. Source: RFC 6544.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "endpoint.h"
#include "unique_fd.h"

namespace parley {

class TcpListener {
 public:
  // Port 0 = any. Null with the reason in `error`.
  static std::unique_ptr<TcpListener> open(const std::string& ip, std::uint16_t port, std::string& error);

  struct Accepted {
    UniqueFd fd;
    Endpoint remote;
  };
  // Nothing when nobody waits (or the process is out of descriptors).
  [[nodiscard]] std::optional<Accepted> accept() const;

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const Endpoint& local() const { return local_; }

 private:
  UniqueFd fd_;
  Endpoint local_;
};

}  // namespace parley
