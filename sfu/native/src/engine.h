// The control side of the core: owns workers, routes commands to them by id, collects their events.
// Thread: any; commands and poll take a mutex of the control side, never one that a worker takes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "commands.h"
#include "events.h"
#include "gate_page.h"
#include "srtp.h"
#include "unique_fd.h"
#include "wake.h"

namespace parley {

class Worker;

struct EngineConfig {
  // Per worker the (ip, port) pairs to bind; port 0 = any.
  std::vector<std::vector<std::pair<std::string, std::uint16_t>>> sockets;
  int gate_fd = -1;
  std::uint32_t gate_slots = 0;
  SrtpTable srtp;
  bool gro = true;
  std::uint32_t coalesce_us = 1200;
  std::uint32_t idle_ms = 10'000;
  std::uint64_t seed = 0;  // keys the hash tables that strangers' addresses fall into
};

class Engine {
 public:
  // Null with the reason in `error`.
  static std::unique_ptr<Engine> start(EngineConfig config, std::string& error);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Joins the threads and closes every descriptor; events that wait can still be polled. Idempotent.
  void close();

  [[nodiscard]] int event_fd() const { return event_wake_.fd(); }
  [[nodiscard]] std::size_t workers() const { return workers_.size(); }
  // Empty for a worker that is not there.
  [[nodiscard]] std::vector<Endpoint> addresses(std::size_t worker) const;
  [[nodiscard]] GatePage& gates() { return gates_; }

  // Queues a command; its ack number, or nothing when the worker's queue is full (or the engine is closed).
  // An id that names nothing is answered by an Ack with a reason, like any other refusal.
  template <typename Body>
  std::optional<std::uint64_t> command(Body body) {
    const std::lock_guard lock(control_);
    const std::optional<std::size_t> worker = route(body);
    if (!worker) {
      return enqueue(0, Refused{"unknown id"});
    }
    if (!can_enqueue(*worker)) {
      return std::nullopt;
    }
    note(body);
    return enqueue(*worker, CommandBody(std::move(body)));
  }

  // Hands up to `limit` events to `control` and `network` (worker index first); returns how many.
  std::size_t poll(std::size_t limit, const std::function<void(std::size_t, const ControlEvent&)>& control,
                   const std::function<void(std::size_t, const NetworkEvent&)>& network);

 private:
  // Where an id lives, and what it belongs to, so that a transport's end ends what hangs on it.
  struct Route {
    std::size_t worker = 0;
    std::uint32_t transport = 0;
    std::uint32_t track = 0;
    std::uint32_t sink = 0;
  };
  using Routes = std::unordered_map<std::uint32_t, Route>;

  Engine() = default;

  [[nodiscard]] bool can_enqueue(std::size_t worker) const;
  std::optional<std::uint64_t> enqueue(std::size_t worker, CommandBody body);

  // The worker of a command: named by it, or the one where its ids live; nothing when they live nowhere.
  template <typename Body>
  std::optional<std::size_t> route(const Body& body) const {
    if constexpr (requires { body.worker; }) {
      if constexpr (requires { body.transport; }) {
        if (const auto taken = find(transports_, body.transport)) {
          return taken;  // it refuses the id that it has
        }
      }
      return body.worker < workers_.size() ? std::optional(body.worker) : std::nullopt;
    } else if constexpr (requires { body.transport; }) {
      return find(transports_, body.transport);
    } else if constexpr (requires { body.forward; }) {
      return find(forwards_, body.forward);
    } else if constexpr (requires { body.tap; } && !requires { body.track; }) {
      return find(taps_, body.tap);
    } else if constexpr (requires { body.track; }) {
      return find(tracks_, body.track);
    } else {
      return find(sinks_, body.sink);
    }
  }
  static std::optional<std::size_t> find(const Routes& routes, std::uint32_t id);

  // Keeps the routes in step with a command that is about to be queued.
  template <typename Body>
  void note(const Body&) {}
  void note(const AddTransport& body) { transports_[body.transport] = Route{.worker = body.worker}; }
  void note(const AddClientTransport& body) { transports_[body.transport] = Route{.worker = body.worker}; }
  void note(const AddSink& body) { sinks_[body.sink] = Route{.worker = body.worker}; }
  void note(const AddTrack& body);
  void note(const AddGenerator& body);
  void note(const AddForward& body);
  void note(const SetForwardSource& body) { forwards_[body.forward].track = body.track; }
  void note(const AddTap& body);
  void note(const RemoveTransport& body);
  void note(const RemoveTrack& body);
  void note(const RemoveGenerator& body) { tracks_.erase(body.track); }
  void note(const RemoveForward& body) { forwards_.erase(body.forward); }
  void note(const RemoveSink& body);
  void note(const RemoveTap& body) { taps_.erase(body.tap); }

  // Destroyed in reverse: the workers end before what they refer to.
  GatePage gates_;
  SrtpTable srtp_;
  Wake event_wake_;
  std::vector<std::unique_ptr<Worker>> workers_;

  std::mutex control_;
  std::mutex polling_;
  std::uint64_t last_ack_ = 0;
  bool closed_ = false;
  Routes transports_, tracks_, forwards_, sinks_, taps_;
};

}  // namespace parley
