#include "worker.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "client_mode.h"
#include "clock.h"
#include "demux.h"
#include "injected_record.h"

namespace parley {

namespace {

// What an epoll event is about: the kind in the upper half, an index or id in the lower.
enum class Watched : std::uint32_t { kSocket, kWake, kSink, kListener, kStream };

constexpr unsigned long kTimerSlackNs = 5'000;

constexpr std::uint64_t tag(Watched kind, std::uint32_t id) { return (static_cast<std::uint64_t>(kind) << 32) | id; }

timespec to_timespec(TimeNs duration) {
  timespec result{};
  result.tv_sec = static_cast<time_t>(duration / kSecond);
  result.tv_nsec = static_cast<long>(duration % kSecond);
  return result;
}

// For so long, or until the bell rings: a command, or what another worker's batch has for this one.
void sleep(const Wake& bell, TimeNs duration) {
  pollfd watched{.fd = bell.fd(), .events = POLLIN, .revents = 0};
  const timespec longest = to_timespec(duration);
  (void)ppoll(&watched, 1, &longest, nullptr);
}

}  // namespace

Worker::Worker(const WorkerConfig& config, std::vector<std::unique_ptr<UdpSocket>> sockets, const GatePage& gates,
               const SrtpTable& srtp, Wake& event_wake, Neighbours& neighbours,
               std::vector<std::unique_ptr<TcpListener>> listeners)
    : sockets_(std::move(sockets)),
      listeners_(std::move(listeners)),
      context_(config, gates, srtp, event_wake, sockets_, neighbours),
      registry_(context_),
      keyframes_(context_),
      departures_(context_, registry_),
      taps_(context_, registry_),
      fanout_(context_, keyframes_, departures_, taps_),
      resender_(context_, registry_, departures_),
      links_(context_, *neighbours.doors[config.index], fanout_, keyframes_),
      feedback_(context_, registry_, keyframes_, departures_),
      rtp_(context_, fanout_, keyframes_, feedback_, links_),
      rtcp_(context_, taps_, resender_, keyframes_, links_, departures_),
      checks_(context_),
      stun_guard_(config.seed),
      door_(*neighbours.doors[config.index]) {
  registry_.watch(*this);
  for (const auto& socket : sockets_) {
    addresses_.push_back(socket->local());
  }
}

Worker::~Worker() {
  stop();
  release();
}

std::string Worker::start(std::size_t index) {
  epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.is_open() || !door_.wake.is_valid()) {
    return std::string("epoll: ") + std::strerror(errno);
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag(Watched::kWake, 0);
  bool is_ok = epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, door_.wake.fd(), &event) == 0;
  for (std::uint32_t socket = 0; socket < sockets_.size(); ++socket) {
    event.data.u64 = tag(Watched::kSocket, socket);
    is_ok = is_ok && epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, sockets_[socket]->fd(), &event) == 0;
  }
  for (std::uint32_t listener = 0; listener < listeners_.size(); ++listener) {
    event.data.u64 = tag(Watched::kListener, listener);
    is_ok = is_ok && epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listeners_[listener]->fd(), &event) == 0;
  }
  context_.tcp.watch(epoll_.get(), tag(Watched::kStream, 0));
  if (!is_ok) {
    return std::string("epoll_ctl: ") + std::strerror(errno);
  }
  // Signals are the host's: the worker's thread takes none.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::string error;
  try {
    thread_ = std::thread([this] { run(); });
    const std::string name = "sfu-worker-" + std::to_string(index);
    pthread_setname_np(thread_.native_handle(), name.c_str());
  } catch (const std::system_error& failure) {
    error = failure.what();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

void Worker::stop() {
  stopping_.store(true);
  door_.wake.notify();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Worker::release() {
  registry_.close_sinks();
  context_.tcp.close_all();
  listeners_.clear();
  sockets_.clear();
  epoll_.reset();
}

bool Worker::submit(Command&& command) {
  if (!enqueue(std::move(command))) {
    return false;
  }
  wake();
  return true;
}

void Worker::run() {
  // The default slack of 50 us would come on top of every window.
  (void)prctl(PR_SET_TIMERSLACK, kTimerSlackNs, 0, 0, 0);
  while (!stopping_.load(std::memory_order_relaxed)) {
    loop_once();
  }
}

TimeNs Worker::deadline(TimeNs now) const {
  TimeNs earliest = std::min(
      {fanout_.deadline(), departures_.deadline(), feedback_.deadline(), generators_.deadline(), checks_.deadline()});
  if (context_.tcp.size() > 0) {
    earliest = std::min(earliest, next_sweep_);
  }
  if (!commands_.empty()) {
    // More of them than one loop takes; or nobody reads the answers, then they wait for that.
    earliest = std::min(earliest, context_.events.has_room_for_answer() ? now : now + kMillisecond);
  }
  return earliest;
}

void Worker::loop_once() {
  std::array<epoll_event, 64> events;
  TimeNs now = monotonic_now();
  const TimeNs until = deadline(now);
  // While a batch gathers, single packets do not wake the worker: it finds them all at the batch's end.
  // But whoever joins waits for every answer of a handshake.
  if (!fanout_.is_empty() && until > now && now >= handshakes_until_) {
    sleep(door_.wake, until - now);
    now = monotonic_now();
  }
  const timespec wait = until == kNever ? timespec{} : to_timespec(std::max<TimeNs>(until - now, 0));
  const int ready = epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                 until == kNever ? nullptr : &wait, nullptr);
  now = monotonic_now();
  const TimeNs started = now;
  context_.counters.add(Counter::loops);
  bool is_woken = false;
  for (int index = 0; index < std::max(ready, 0); ++index) {
    const std::uint64_t what = events[static_cast<std::size_t>(index)].data.u64;
    const auto id = static_cast<std::uint32_t>(what);
    switch (static_cast<Watched>(what >> 32)) {
      case Watched::kSocket:
        receive(id, now);
        break;
      case Watched::kWake:
        is_woken = true;
        break;
      case Watched::kSink:
        receive_injected(id, now);
        if ((events[static_cast<std::size_t>(index)].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
          sink_hung_up(id);
        }
        break;
      case Watched::kListener:
        accept(id, now);
        break;
      case Watched::kStream:
        receive_stream(id, events[static_cast<std::size_t>(index)].events, now);
        break;
    }
  }
  if (is_woken) {
    door_.wake.clear();
  }
  links_.receive(now);
  take_arrivals(now);
  run_commands(now);
  tick(now);
  now = monotonic_now();
  context_.counters.add(Counter::busy_us, static_cast<std::uint64_t>((now - started) / kMicrosecond));
  fanout_.note_busy(now - started, now);
}

void Worker::tick(TimeNs now) {
  feedback_.tick(now);
  links_.tick(now);
  close_strangers(now);
  generators_.tick(now, context_);
  departures_.tick(now);
  checks_.tick(now);
  // RTCP and generated packets are in the arena, records in the sinks: they leave with the batch, or now. Other workers
  // are told first, so that they send their part of it meanwhile.
  if (fanout_.is_empty() || fanout_.is_due(now)) {
    links_.flush();
    fanout_.flush(now);
  } else {
    context_.counters.add(Counter::flushes_coalesced);
  }
}

void Worker::receive(std::uint32_t socket, TimeNs now) {
  // Bounded: what still waits is found by the next epoll, after commands and timers had their turn.
  for (std::size_t round = 0; round < kBatchesPerLoop; ++round) {
    sockets_[socket]->receive(batch_, context_.counters);
    for (std::size_t index = 0; index < batch_.size(); ++index) {
      receive_message(socket, batch_[index], now);
    }
    if (batch_.size() < ReceiveBatch::kMessages) {
      return;
    }
  }
}

void Worker::receive_message(std::uint32_t socket, const ReceiveBatch::Message& message, TimeNs now) {
  const PathId path{.socket = socket, .remote = message.from};
  Transport* transport = registry_.transport_at(path);
  MutableBytes rest = message.data;
  do {
    const MutableBytes datagram = rest.first(std::min(rest.size(), message.segment_bytes));
    rest = rest.subspan(datagram.size());
    receive_datagram(path, transport, datagram, now);
  } while (!rest.empty());
}

void Worker::receive_datagram(const PathId& path, Transport* transport, MutableBytes datagram, TimeNs now) {
  context_.counters.add(Counter::datagrams_received);
  switch (classify(datagram)) {
    case DatagramKind::kStun:
      receive_stun(path, transport, datagram, now);
      return;
    case DatagramKind::kDtls:
      receive_dtls(path, transport, datagram, now);
      return;
    case DatagramKind::kRtp:
    case DatagramKind::kRtcp:
      break;
    case DatagramKind::kReject:
    case DatagramKind::kTurnChannel:
      context_.counters.add(datagram.empty() ? Counter::drop_empty : Counter::drop_unknown_kind);
      return;
  }
  if (transport == nullptr) {
    context_.counters.add(Counter::drop_media_unbound);
    return;
  }
  const bool is_countable = transport->client != nullptr && transport->srtp.can_send();
  if (!transport->srtp.can_receive() && !is_countable) {
    if (transport->client != nullptr && transport->client->hold(datagram)) {
      return;
    }
    context_.counters.add(Counter::drop_media_before_keys);
    return;
  }
  if (classify(datagram) == DatagramKind::kRtp) {
    rtp_.receive(*transport, datagram, now);
  } else {
    rtcp_.receive(*transport, datagram, now);
  }
}

void Worker::sink_hung_up(std::uint32_t id) {
  Sink* sink = registry_.sink(id);
  if (sink == nullptr) {
    return;
  }
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, sink->socket.fd(), nullptr);
  sink->socket.mark_closed("consumer closed");
  if (!sink->is_reported) {
    sink->is_reported = true;
    context_.events.post(SinkClosedEvent{sink->id, sink->socket.reason()});
  }
}

void Worker::forget(Transport& transport) {
  departures_.forget(transport);
  feedback_.forget(transport);
  generators_.forget(transport);
  checks_.forget(transport);
}

void Worker::forget(const Track& track) {
  fanout_.forget(track);
  links_.forget(track);
  feedback_.forget(track);
  keyframes_.forget(track);
}

void Worker::sink_added(Sink& sink) {
  epoll_event event{};
  event.events = EPOLLRDHUP;  // and EPOLLHUP, EPOLLERR, which always come
  event.data.u64 = tag(Watched::kSink, sink.id);
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, sink.socket.fd(), &event);
}

void Worker::sink_changed(Sink& sink) {
  epoll_event event{};
  event.events = EPOLLRDHUP;
  if (sink.injected != nullptr) {
    event.events |= EPOLLIN;
    injected_.resize(TapSink::kMaxDatagram);
  }
  event.data.u64 = tag(Watched::kSink, sink.id);
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, sink.socket.fd(), &event);
}

void Worker::receive_injected(std::uint32_t id, TimeNs now) {
  constexpr int kDatagramsPerLoop = 16;
  for (int count = 0; count < kDatagramsPerLoop; ++count) {
    const Sink* sink = registry_.sink(id);
    if (sink == nullptr || sink->injected == nullptr) {
      return;
    }
    const ssize_t got = recv(sink->socket.fd(), injected_.data(), injected_.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (got <= 0) {
      return;
    }
    if (static_cast<std::size_t>(got) > injected_.size()) {
      context_.counters.add(Counter::drop_inject_malformed);
      continue;
    }
    take_injected(*sink->injected, MutableBytes(injected_).first(static_cast<std::size_t>(got)), now);
  }
}

void Worker::take_injected(Transport& transport, MutableBytes datagram, TimeNs now) {
  while (!datagram.empty()) {
    const auto record = take_record(datagram);
    if (!record) {
      context_.counters.add(Counter::drop_inject_malformed);
      return;
    }
    if (!transport.injection_budget.take(1, now)) {
      context_.counters.add(Counter::drop_inject_rate);
      continue;
    }
    context_.counters.add(Counter::injected);
    const auto report = record->kind == TapKind::kSenderReport ? record->report() : std::nullopt;
    if (record->kind == TapKind::kRtp) {
      rtp_.receive_plain(transport, record->body, now);
    } else if (report) {
      rtcp_.take_report(transport, *report, now);
    } else {
      context_.counters.add(Counter::drop_inject_malformed);
    }
  }
}

void Worker::receive_for_test(std::uint32_t socket, const Endpoint& from, MutableBytes data, TimeNs now) {
  const ReceiveBatch::Message message{from, data, std::max<std::size_t>(data.size(), 1)};
  receive_message(socket, message, now);
}

void Worker::tick_for_test(TimeNs now) {
  links_.receive(now);
  tick(now);
}

}  // namespace parley
