#include "engine.h"

#include <unistd.h>

#include "worker.h"

namespace parley {

namespace {

// A server has one per local address; client mode has one per transport.
constexpr std::size_t kMaxSockets = 4096;

}  // namespace

std::unique_ptr<Engine> Engine::start(EngineConfig config, std::string& error) {
  if (!config.srtp.is_complete()) {
    error = "the SRTP table is incomplete";
    return nullptr;
  }
  if (config.sockets.empty() || config.sockets.size() > 256) {
    error = "an engine needs 1 to 256 workers";
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
                             .seed = config.seed};
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
    engine->workers_.push_back(std::make_unique<Worker>(worker_config, std::move(sockets), engine->gates_,
                                                        engine->srtp_, engine->event_wake_));
  }
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
  for (const auto& worker : workers_) {
    worker->stop();
  }
  event_wake_.close();
}

std::vector<Endpoint> Engine::addresses(std::size_t worker) const {
  return worker < workers_.size() ? workers_[worker]->addresses() : std::vector<Endpoint>{};
}

bool Engine::can_enqueue(std::size_t worker) const { return !closed_ && workers_[worker]->has_room(); }

std::optional<std::uint64_t> Engine::enqueue(std::size_t worker, CommandBody body) {
  if (!can_enqueue(worker)) {
    return std::nullopt;
  }
  workers_[worker]->submit(Command{++last_ack_, std::move(body)});
  return last_ack_;
}

std::optional<std::size_t> Engine::find(const Routes& routes, std::uint32_t id) {
  const auto at = routes.find(id);
  return at == routes.end() ? std::nullopt : std::optional(at->second.worker);
}

void Engine::note(const AddTrack& body) {
  tracks_[body.track] = Route{.worker = *find(transports_, body.transport), .transport = body.transport};
}

void Engine::note(const AddGenerator& body) {
  tracks_[body.track] = Route{.worker = *find(transports_, body.transport), .transport = body.transport};
}

void Engine::note(const AddForward& body) {
  forwards_[body.forward] =
      Route{.worker = *find(transports_, body.transport), .transport = body.transport, .track = body.track};
}

void Engine::note(const AddTap& body) {
  taps_[body.tap] = Route{.worker = *find(tracks_, body.track), .track = body.track, .sink = body.sink};
}

void Engine::note(const RemoveTransport& body) {
  transports_.erase(body.transport);
  for (auto at = tracks_.begin(); at != tracks_.end();) {
    if (at->second.transport == body.transport) {
      const std::uint32_t track = at->first;
      at = tracks_.erase(at);
      note(RemoveTrack{track});
    } else {
      ++at;
    }
  }
  std::erase_if(forwards_, [&](const auto& entry) { return entry.second.transport == body.transport; });
}

void Engine::note(const RemoveTrack& body) {
  tracks_.erase(body.track);
  std::erase_if(forwards_, [&](const auto& entry) { return entry.second.track == body.track; });
  std::erase_if(taps_, [&](const auto& entry) { return entry.second.track == body.track; });
}

void Engine::note(const RemoveSink& body) {
  sinks_.erase(body.sink);
  std::erase_if(taps_, [&](const auto& entry) { return entry.second.sink == body.sink; });
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
    for (; count < limit; ++count) {
      ControlEvent* event = control_ring.front();
      if (event == nullptr) {
        break;
      }
      control(index, *event);
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
