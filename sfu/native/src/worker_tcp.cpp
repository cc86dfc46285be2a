// A worker's TCP paths: accepted, led to the worker that owns the transport, read as datagrams, closed.
#include <sys/epoll.h>

#include "demux.h"
#include "stun_probe.h"
#include "worker.h"

namespace parley {

namespace {

constexpr int kAcceptsPerLoop = 32;
constexpr TimeNs kSweepInterval = kSecond;

}  // namespace

void Worker::accept(std::uint32_t listener, TimeNs now) {
  for (int count = 0; count < kAcceptsPerLoop; ++count) {
    auto accepted = listeners_[listener]->accept();
    if (!accepted) {
      return;
    }
    if (!context_.neighbours.connections.enter(accepted->remote)) {
      context_.counters.add(Counter::drop_tcp_refused);
      continue;
    }
    context_.counters.add(Counter::tcp_accepted);
    const PathId path{.socket = listener, .remote = accepted->remote, .kind = PathKind::kTcp};
    context_.tcp.adopt(TcpArrival{std::move(accepted->fd), path, {}}, now);
  }
}

// Connections whose transports live here, from the worker that accepted them.
void Worker::take_arrivals(TimeNs now) {
  while (!door_.arrivals.empty()) {
    auto arrival = door_.arrivals.pop();
    TcpConnection* connection = arrival ? context_.tcp.adopt(std::move(*arrival), now) : nullptr;
    if (connection != nullptr) {
      connection->is_settled = true;
      receive_frames(*connection, now);
    }
  }
}

void Worker::receive_stream(std::uint32_t id, std::uint32_t events, TimeNs now) {
  TcpConnection* connection = context_.tcp.find(id);
  if (connection == nullptr) {
    return;
  }
  if ((events & EPOLLOUT) != 0) {
    context_.tcp.resume(*connection);
  }
  const bool is_open = connection->fill();
  if (receive_frames(*connection, now) && !is_open) {
    close(*connection);
  }
}

// False when the connection is not here any more.
bool Worker::receive_frames(TcpConnection& connection, TimeNs now) {
  while (const auto frame = connection.frames.next()) {
    if (!connection.is_settled && !settle(connection, *frame)) {
      return false;
    }
    context_.counters.add(Counter::bytes_received, frame->size());
    receive_datagram(connection.path, registry_.transport_at(connection.path), *frame, now);
  }
  if (connection.frames.is_broken()) {
    context_.counters.add(Counter::drop_tcp_malformed);
    close(connection);
    return false;
  }
  return true;
}

// The first frame must be a check: its ufrag says whose connection this is.
bool Worker::settle(TcpConnection& connection, Bytes first) {
  const auto probe = classify(first) == DatagramKind::kStun ? probe_stun(first) : std::nullopt;
  const auto owner = probe ? context_.neighbours.ufrags.find(probe->ufrag) : std::nullopt;
  if (!owner) {
    context_.counters.add(Counter::drop_tcp_unknown);
    close(connection);
    return false;
  }
  connection.is_settled = true;
  if (*owner == context_.config.index) {
    return true;
  }
  connection.frames.put_back(first.size());
  WorkerDoor& door = *context_.neighbours.doors[*owner];
  TcpArrival arrival = context_.tcp.hand_over(connection);
  const Endpoint remote = arrival.path.remote;
  if (door.arrivals.push(std::move(arrival))) {
    door.wake.notify();
  } else {
    context_.counters.add(Counter::drop_tcp_refused);
    context_.neighbours.connections.leave(remote, false);
  }
  return false;
}

void Worker::close(TcpConnection& connection) {
  const PathId path = connection.path;
  if (const Transport* owner = registry_.lose_path(path)) {
    context_.events.post(PathClosedEvent{owner->id, path});
  }
  context_.tcp.close(connection);
}

void Worker::close_strangers(TimeNs now) {
  if (now < next_sweep_ || context_.tcp.size() == 0) {
    return;
  }
  next_sweep_ = now + kSweepInterval;
  const auto is_bound = [this](const PathId& path) { return registry_.transport_at(path) != nullptr; };
  for (TcpConnection* connection : context_.tcp.overdue(now, is_bound)) {
    context_.counters.add(Counter::drop_tcp_unbound);
    context_.tcp.close(*connection);
  }
}

}  // namespace parley
