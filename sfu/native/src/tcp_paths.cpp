#include "tcp_paths.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace parley {

bool TcpConnection::fill() {
  const MutableBytes room = frames.room();
  const ssize_t got = recv(fd.get(), room.data(), room.size(), MSG_DONTWAIT);
  if (got > 0) {
    frames.added(static_cast<std::size_t>(got));
    return true;
  }
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

void TcpPaths::close_all() {
  while (!by_id_.empty()) {
    close(*by_id_.begin()->second);
  }
}

TcpConnection* TcpPaths::adopt(TcpArrival arrival, TimeNs now) {
  auto made = std::make_unique<TcpConnection>();
  made->path = arrival.path;
  made->id = ++last_id_;
  made->unbound_since = now;
  const MutableBytes room = made->frames.room();
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.u64 = tag_ | made->id;
  if (arrival.received.size() > room.size() || by_path_.contains(arrival.path) ||
      epoll_ctl(epoll_, EPOLL_CTL_ADD, arrival.fd.get(), &event) != 0) {
    admission_.leave(arrival.path.remote, false);
    return nullptr;
  }
  copy_to(room, 0, arrival.received);
  made->frames.added(arrival.received.size());
  made->fd = std::move(arrival.fd);
  TcpConnection* connection = made.get();
  by_path_[connection->path] = connection;
  by_id_[connection->id] = std::move(made);
  return connection;
}

TcpConnection* TcpPaths::find(std::uint32_t id) const {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : at->second.get();
}

TcpConnection* TcpPaths::find(const PathId& path) const {
  const auto at = by_path_.find(path);
  return at == by_path_.end() ? nullptr : at->second;
}

void TcpPaths::send(const PathId& path, const Train& train) {
  TcpConnection* connection = find(path);
  if (connection == nullptr) {
    counters_.add(Counter::drop_send_refused, train.segments);
    return;
  }
  for (std::uint32_t offset = 0; offset < train.bytes; offset += train.segment_bytes) {
    const auto size = static_cast<std::uint16_t>(std::min<std::uint32_t>(train.segment_bytes, train.bytes - offset));
    // Whole frames or none: the stream must stay in step.
    if (connection->pending.size() - connection->sent + FrameReader::kHeaderBytes + size > TcpConnection::kMaxPending) {
      counters_.add(Counter::drop_tcp_full);
      continue;
    }
    connection->pending.push_back(static_cast<std::uint8_t>(size >> 8));
    connection->pending.push_back(static_cast<std::uint8_t>(size));
    connection->pending.insert(connection->pending.end(), train.data + offset, train.data + offset + size);
    counters_.add(Counter::datagrams_sent);
  }
  if (!connection->is_dirty) {
    connection->is_dirty = true;
    dirty_.push_back(connection);
  }
}

void TcpPaths::flush() {
  for (TcpConnection* connection : dirty_) {
    connection->is_dirty = false;
    if (!connection->wants_room) {
      write(*connection);
    }
  }
  dirty_.clear();
}

void TcpPaths::resume(TcpConnection& connection) { write(connection); }

void TcpPaths::write(TcpConnection& connection) {
  auto& pending = connection.pending;
  const std::size_t left = pending.size() - connection.sent;
  if (left > 0) {
    const ssize_t sent =
        ::send(connection.fd.get(), pending.data() + connection.sent, left, MSG_DONTWAIT | MSG_NOSIGNAL);
    counters_.add(Counter::send_calls);
    if (sent > 0) {
      counters_.add(Counter::bytes_sent, static_cast<std::uint64_t>(sent));
      connection.sent += static_cast<std::size_t>(sent);
    }
    // An error shows as the connection's end, in its turn.
  }
  if (connection.sent == pending.size()) {
    pending.clear();
    connection.sent = 0;
  } else if (connection.sent >= TcpConnection::kMaxPending / 2) {
    pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(connection.sent));
    connection.sent = 0;
  }
  want_room(connection, !pending.empty());
}

void TcpPaths::want_room(TcpConnection& connection, bool wanted) {
  if (connection.wants_room == wanted) {
    return;
  }
  connection.wants_room = wanted;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  if (wanted) {
    event.events |= EPOLLOUT;
  }
  event.data.u64 = tag_ | connection.id;
  (void)epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd.get(), &event);
}

UniqueFd TcpPaths::forget(TcpConnection& connection) {
  (void)epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.fd.get(), nullptr);
  UniqueFd fd = std::move(connection.fd);
  std::erase(dirty_, &connection);
  by_path_.erase(connection.path);
  by_id_.erase(connection.id);
  return fd;
}

void TcpPaths::close(TcpConnection& connection) {
  const Endpoint remote = connection.path.remote;
  const bool is_vouched = connection.is_vouched;
  forget(connection).reset();
  admission_.leave(remote, is_vouched);
  counters_.add(Counter::tcp_closed);
}

TcpArrival TcpPaths::hand_over(TcpConnection& connection) {
  const Bytes unread = connection.frames.unread();
  TcpArrival arrival{UniqueFd(), connection.path, {unread.begin(), unread.end()}};
  arrival.fd = forget(connection);
  return arrival;
}

}  // namespace parley
