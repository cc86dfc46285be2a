// A worker's TCP connections: frames in, frames out, all bounded. A peer that reads slowly loses packets, as it would
// by UDP; nobody waits for it.
// Thread: the worker that owns it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "bytes.h"
#include "counters.h"
#include "frame_reader.h"
#include "neighbours.h"
#include "path_id.h"
#include "tcp_arrival.h"
#include "udp_socket.h"
#include "unique_fd.h"
#include "units.h"

namespace parley {

struct TcpConnection {
  // About half a second of video.
  static constexpr std::size_t kMaxPending = 128 * 1024;

  UniqueFd fd;
  PathId path;
  std::uint32_t id = 0;
  FrameReader frames;
  std::vector<std::uint8_t> pending;  // framed bytes that the kernel has not taken; allocated when there are some
  std::size_t sent = 0;               // of `pending`
  TimeNs unbound_since = 0;
  bool is_settled = false;  // its transport is known to be this worker's
  bool is_vouched = false;  // an authenticated check has bound it once
  bool is_dirty = false;
  bool wants_room = false;  // waits for the kernel to take more

  // Reads once. False at the stream's end.
  bool fill();
};

class TcpPaths {
 public:
  // A connection that no authenticated check has bound for so long is closed.
  static constexpr TimeNs kUnboundPatience = 5 * kSecond;

  TcpPaths(TcpAdmission& admission, Counters& counters) : admission_(admission), counters_(counters) {}
  ~TcpPaths() { close_all(); }
  TcpPaths(const TcpPaths&) = delete;
  TcpPaths& operator=(const TcpPaths&) = delete;

  // Connections are watched by this epoll, each as `tag | its id`.
  void watch(int epoll, std::uint64_t tag) {
    epoll_ = epoll;
    tag_ = tag;
  }

  // Takes a connection over; null when it cannot be watched.
  TcpConnection* adopt(TcpArrival arrival, TimeNs now);
  [[nodiscard]] TcpConnection* find(std::uint32_t id) const;
  [[nodiscard]] TcpConnection* find(const PathId& path) const;
  [[nodiscard]] std::size_t size() const { return by_id_.size(); }

  // Frames a train's datagrams; `flush` sends them.
  void send(const PathId& path, const Train& train);
  void flush();
  // The kernel takes more.
  void resume(TcpConnection& connection);

  void close(TcpConnection& connection);
  void close_all();
  // For another worker; the connection is gone from here.
  [[nodiscard]] TcpArrival hand_over(TcpConnection& connection);

  // Connections that `is_bound(path)` denies for too long; the caller closes them. Those that it affirms are vouched
  // for.
  template <typename IsBound>
  [[nodiscard]] std::vector<TcpConnection*> overdue(TimeNs now, IsBound&& is_bound);

 private:
  struct Hash {
    std::size_t operator()(const PathId& path) const { return path.remote.hash(path.local()); }
  };

  void write(TcpConnection& connection);
  void want_room(TcpConnection& connection, bool wanted);
  UniqueFd forget(TcpConnection& connection);

  TcpAdmission& admission_;
  Counters& counters_;
  int epoll_ = -1;
  std::uint64_t tag_ = 0;
  std::uint32_t last_id_ = 0;
  std::unordered_map<std::uint32_t, std::unique_ptr<TcpConnection>> by_id_;
  std::unordered_map<PathId, TcpConnection*, Hash> by_path_;
  std::vector<TcpConnection*> dirty_;
};

template <typename IsBound>
std::vector<TcpConnection*> TcpPaths::overdue(TimeNs now, IsBound&& is_bound) {
  std::vector<TcpConnection*> found;
  for (const auto& [id, connection] : by_id_) {
    if (is_bound(connection->path)) {
      connection->unbound_since = now;
      if (!connection->is_vouched) {
        connection->is_vouched = true;
        admission_.vouch(connection->path.remote);
      }
    } else if (now - connection->unbound_since >= kUnboundPatience) {
      found.push_back(connection.get());
    }
  }
  return found;
}

}  // namespace parley
