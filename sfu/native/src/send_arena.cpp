#include "send_arena.h"

namespace parley {

SendArena::SendArena(std::span<const std::unique_ptr<UdpSocket>> sockets, TcpPaths& tcp, Counters& counters)
    : sockets_(sockets), tcp_(tcp), counters_(counters), bytes_(new std::uint8_t[kBytes]) {
  trains_.reserve(UdpSocket::kMaxTrains);
  train_sockets_.reserve(UdpSocket::kMaxTrains);
}

std::span<std::uint8_t> SendArena::claim() {
  if (kBytes - used_ < kMaxDatagram) {
    flush();
  }
  return {bytes_.get() + used_, kMaxDatagram};
}

void SendArena::commit(const PathId& path, std::size_t bytes) {
  const std::uint32_t socket = path.local();
  std::uint8_t* data = bytes_.get() + used_;
  if (!last_is_closed_) {
    Train& last = trains_.back();
    const bool same_run = train_sockets_.back() == socket && bytes <= last.segment_bytes &&
                          last.segments < UdpSocket::kMaxSegments && last.bytes + bytes <= UdpSocket::kMaxTrainBytes &&
                          last.to == path.remote;
    if (same_run) {
      last.bytes += static_cast<std::uint32_t>(bytes);
      ++last.segments;
      last_is_closed_ = bytes < last.segment_bytes;
      used_ += bytes;
      return;
    }
  }
  if (trains_.size() == UdpSocket::kMaxTrains) {
    // The claimed bytes stay where they are: flush() only forgets offsets, and the new train starts at them.
    const std::size_t at = used_;
    flush();
    used_ = at;
  }
  trains_.push_back(Train{path.remote, data, static_cast<std::uint32_t>(bytes), static_cast<std::uint16_t>(bytes), 1});
  train_sockets_.push_back(socket);
  last_is_closed_ = false;
  used_ += bytes;
}

void SendArena::flush() {
  std::size_t from = 0;
  while (from < trains_.size()) {
    std::size_t until = from + 1;
    while (until < trains_.size() && train_sockets_[until] == train_sockets_[from]) {
      ++until;
    }
    const auto run = std::span(trains_).subspan(from, until - from);
    if (train_sockets_[from] < sockets_.size()) {
      sockets_[train_sockets_[from]]->send(run, counters_);
    } else {
      send_tcp(train_sockets_[from], run);
    }
    from = until;
  }
  tcp_.flush();
  trains_.clear();
  train_sockets_.clear();
  used_ = 0;
  last_is_closed_ = true;
}

void SendArena::send_tcp(std::uint32_t local, std::span<const Train> trains) {
  PathId path{.socket = local & 0x7fff'ffffU, .remote = {}, .kind = PathKind::kTcp};
  for (const Train& train : trains) {
    path.remote = train.to;
    tcp_.send(path, train);
  }
}

}  // namespace parley
