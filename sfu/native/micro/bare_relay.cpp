#include "bare_relay.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>

#include "demux.h"

namespace parley {

namespace {

constexpr int kPatienceMs = 50;  // between looks at whether to stop

}  // namespace

std::string BareRelay::open(const std::string& ip) {
  std::string error;
  auto socket = UdpSocket::open(ip, 0, true, error);
  if (socket != nullptr) {
    sockets_.push_back(std::move(socket));
    arena_ = std::make_unique<SendArena>(sockets_, tcp_, counters_);
  }
  return error;
}

void BareRelay::add_publisher(const Endpoint& remote, void* rx, SrtpProfile profile, SrtpCiphers ciphers) {
  publishers_.push_back({remote, Srtp(&table_, rx, nullptr, profile, std::move(ciphers))});
}

void BareRelay::add_receiver(const Endpoint& remote, void* tx, SrtpProfile profile, SrtpCiphers ciphers, int except) {
  receivers_.push_back(
      {{.socket = 0, .remote = remote}, Srtp(&table_, nullptr, tx, profile, std::move(ciphers)), except});
}

void BareRelay::start() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void BareRelay::stop() {
  stopping_.store(true);
  if (thread_.joinable()) {
    thread_.join();
  }
}

void BareRelay::run() {
  pollfd wait{.fd = sockets_.front()->fd(), .events = POLLIN, .revents = 0};
  while (!stopping_.load(std::memory_order_relaxed)) {
    if (poll(&wait, 1, kPatienceMs) > 0) {
      take();
      fan_out();
    }
  }
}

void BareRelay::take() {
  sockets_.front()->receive(batch_, counters_);
  taken_.clear();
  for (std::size_t index = 0; index < batch_.size(); ++index) {
    MutableBytes rest = batch_[index].data;
    while (!rest.empty()) {
      const MutableBytes datagram = rest.first(std::min(rest.size(), batch_[index].segment_bytes));
      rest = rest.subspan(datagram.size());
      take(batch_[index].from, datagram);
    }
  }
  // Trains are of equal lengths, the last may be shorter.
  std::ranges::stable_sort(taken_, [](const Taken& a, const Taken& b) { return a.packet.size() > b.packet.size(); });
}

void BareRelay::take(const Endpoint& from, MutableBytes datagram) {
  const auto publisher = std::ranges::find(publishers_, from, &Publisher::remote);
  if (publisher == publishers_.end() || classify(datagram) != DatagramKind::kRtp) {
    return;
  }
  std::size_t size = datagram.size();
  if (publisher->srtp.unprotect_rtp(datagram.data(), size) == SrtpError::kNone) {
    taken_.push_back({datagram.first(size), static_cast<int>(publisher - publishers_.begin())});
  }
}

void BareRelay::fan_out() {
  for (const Receiver& receiver : receivers_) {
    for (const Taken& taken : taken_) {
      if (taken.publisher == receiver.except) {
        continue;
      }
      const MutableBytes out = arena_->claim();
      std::ranges::copy(taken.packet, out.begin());
      std::size_t size = taken.packet.size();
      if (receiver.srtp.protect_rtp(out.data(), size) == SrtpError::kNone) {
        arena_->commit(receiver.path, size);
      }
    }
  }
  arena_->flush();
  packets_.store(counters_.get(Counter::datagrams_sent), std::memory_order_relaxed);
  messages_.store(counters_.get(Counter::messages_sent), std::memory_order_relaxed);
}

}  // namespace parley
