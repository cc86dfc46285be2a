#include "send_arena.h"

namespace parley {

SendArena::SendArena(std::span<const std::unique_ptr<UdpSocket>> sockets, Counters& counters)
  : sockets_(sockets), counters_(counters), bytes_(new std::uint8_t[kBytes]) {
  trains_.reserve(UdpSocket::kMaxTrains);
  train_sockets_.reserve(UdpSocket::kMaxTrains);
}

std::span<std::uint8_t> SendArena::claim() {
  if (kBytes - used_ < kMaxDatagram) {
    flush();
  }
  return {bytes_.get() + used_, kMaxDatagram};
}

void SendArena::commit(std::uint32_t socket, const Endpoint& to, std::size_t bytes) {
  std::uint8_t* data = bytes_.get() + used_;
  if (!last_is_closed_) {
    Train& last = trains_.back();
    const bool same_run = train_sockets_.back() == socket && bytes <= last.segment_bytes &&
               last.segments < UdpSocket::kMaxSegments &&
               last.bytes + bytes <= UdpSocket::kMaxTrainBytes && last.to == to;
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
  trains_.push_back(Train{to, data, static_cast<std::uint32_t>(bytes), static_cast<std::uint16_t>(bytes), 1});
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
    sockets_[train_sockets_[from]]->send(std::span(trains_).subspan(from, until - from), counters_);
    from = until;
  }
  trains_.clear();
  train_sockets_.clear();
  used_ = 0;
  last_is_closed_ = true;
}

}  // namespace parley
