#include "engine.h"

#include <unistd.h>

#include <algorithm>

#include "worker.h"

namespace parley {

namespace {

// A server has one per local address; client mode has one per transport.
constexpr std::size_t kMaxSockets = 4096;
constexpr std::size_t kMaxWorkers = 64;

}  // namespace

std::unique_ptr<Engine> Engine::start(const EngineConfig& config, std::string& error) {
  if (!config.srtp.is_complete()) {
    error = "the SRTP table is incomplete";
    return nullptr;
  }
  if (config.sockets.empty() || config.sockets.size() > kMaxWorkers) {
    error = "an engine needs 1 to 64 workers";
    return nullptr;
  }
  std::unique_ptr<Engine> engine(new Engine());
  engine->srtp_ = config.srtp;
  if (!engine->event_wake_.is_valid()) {
    error = "eventfd failed";
    return nullptr;
  }
  error = engine->gates_.map(config.gate_fd, config.gate_slots);
  if (!error.empty()) {
    return nullptr;
  }
  WorkerConfig worker_config{.coalesce = static_cast<TimeNs>(config.coalesce_us) * kMicrosecond,
                             .idle = static_cast<TimeNs>(config.idle_ms) * kMillisecond,
                             .seed = config.seed,
                             .hmac = config.hmac};
  std::vector<std::unique_ptr<TcpListener>> listeners;
  for (const auto& [ip, port] : config.tcp) {
    auto listener = TcpListener::open(ip, port, error);
    if (listener == nullptr) {
      return nullptr;
    }
    engine->tcp_addresses_.push_back(listener->local());
    listeners.push_back(std::move(listener));
  }
  engine->neighbours_ = std::make_unique<Neighbours>(config.sockets.size());
  for (const auto& bindings : config.sockets) {
    if (bindings.empty() || bindings.size() > kMaxSockets) {
      error = "a worker needs 1 to 4096 sockets";
      return nullptr;
    }
    std::vector<std::unique_ptr<UdpSocket>> sockets;
    for (const auto& [ip, port] : bindings) {
      auto socket = UdpSocket::open(ip, port, config.gro, error);
      if (socket == nullptr) {
        return nullptr;
      }
      sockets.push_back(std::move(socket));
    }
    worker_config.seed = worker_config.seed * 6364136223846793005ULL + 1442695040888963407ULL;
    worker_config.index = engine->workers_.size();
    // One port for all: the first worker accepts, and hands each connection to the one that owns its transport.
    engine->workers_.push_back(std::make_unique<Worker>(worker_config, std::move(sockets), engine->gates_,
                                                        engine->srtp_, engine->event_wake_, *engine->neighbours_,
                                                        std::exchange(listeners, {})));
  }
  std::vector<WorkerDoor*> doors;
  for (const auto& door : engine->neighbours_->doors) {
    doors.push_back(door.get());
  }
  engine->is_knocking_.resize(engine->workers_.size());
  engine->dispatcher_ = std::make_unique<Dispatcher>(std::move(doors));
  for (std::size_t index = 0; index < engine->workers_.size(); ++index) {
    error = engine->workers_[index]->start(index);
    if (!error.empty()) {
      return nullptr;
    }
  }
  return engine;
}

Engine::~Engine() { close(); }

void Engine::close() {
  {
    const std::lock_guard lock(control_);
    closed_ = true;
  }
  // Any worker may knock at another's door until all of them have ended.
  for (const auto& worker : workers_) {
    worker->stop();
  }
  for (const auto& worker : workers_) {
    worker->release();
  }
  if (neighbours_ != nullptr) {
    for (const auto& door : neighbours_->doors) {
      door->wake.close();
    }
  }
  event_wake_.close();
}

std::vector<Endpoint> Engine::addresses(std::size_t worker) const {
  return worker < workers_.size() ? workers_[worker]->addresses() : std::vector<Endpoint>{};
}

bool Engine::has_room(std::size_t parts) const {
  return !closed_ &&
         std::ranges::all_of(workers_, [&](const auto& worker) { return worker->room() >= parts + kSpareRoom; });
}

void Engine::submit(std::uint64_t number, Parts parts) {
  if (number != 0 && parts.size() > 1) {
    joints_[number] = Joint{.left = parts.size(), .error = {}};
  }
  for (Part& part : parts) {
    workers_[part.worker]->enqueue(Command{number, std::move(part.body)});
    is_knocking_[part.worker] = true;
  }
}

void Engine::flush() {
  const std::lock_guard lock(control_);
  knock();
}

void Engine::knock() {
  for (std::size_t worker = 0; worker < is_knocking_.size(); ++worker) {
    if (is_knocking_[worker] && !closed_) {
      workers_[worker]->wake();
    }
    is_knocking_[worker] = false;
  }
}

bool Engine::take_answer(std::uint64_t number, std::string& error) {
  const std::lock_guard lock(control_);
  if (const auto at = joints_.find(number); at != joints_.end()) {
    if (at->second.error.empty()) {
      at->second.error = std::move(error);
    }
    if (--at->second.left > 0) {
      return false;
    }
    error = std::move(at->second.error);
    joints_.erase(at);
  }
  if (Parts parts = error.empty() ? dispatcher_->accepted(number) : dispatcher_->refused(number); !closed_) {
    submit(0, std::move(parts));
    knock();
  }
  return true;
}

std::size_t Engine::poll(std::size_t limit, const std::function<void(std::size_t, const ControlEvent&)>& control,
                         const std::function<void(std::size_t, const NetworkEvent&)>& network) {
  const std::lock_guard lock(polling_);
  event_wake_.clear();
  std::size_t count = 0;
  bool is_left = false;
  for (std::size_t index = 0; index < workers_.size(); ++index) {
    auto& control_ring = workers_[index]->outbox().control();
    auto& network_ring = workers_[index]->outbox().network();
    while (count < limit) {
      ControlEvent* event = control_ring.front();
      if (event == nullptr) {
        break;
      }
      auto* answer = std::get_if<AckEvent>(event);
      const auto* end = std::get_if<SinkClosedEvent>(event);
      bool is_news = true;
      if (answer != nullptr) {
        is_news = take_answer(answer->ack, answer->error);
      } else if (end != nullptr) {
        const std::lock_guard lock_control(control_);
        is_news = dispatcher_->take_sink_end(end->sink);
      }
      if (is_news) {
        control(index, *event);
        ++count;
      }
      *event = std::monostate{};
      control_ring.release();
    }
    for (; count < limit; ++count) {
      const NetworkEvent* event = network_ring.front();
      if (event == nullptr) {
        break;
      }
      network(index, *event);
      network_ring.release();
    }
    is_left = is_left || control_ring.size() != 0 || network_ring.size() != 0;
  }
  if (is_left) {
    event_wake_.notify();
  }
  return count;
}

}  // namespace parley
