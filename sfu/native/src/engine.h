// The control side of the core: owns workers, hands them commands, joins their answers, collects their events.
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

#include "clock.h"
#include "commands.h"
#include "dispatcher.h"
#include "events.h"
#include "gate_page.h"
#include "hmac.h"
#include "neighbours.h"
#include "srtp.h"
#include "unique_fd.h"
#include "wake.h"

namespace parley {

class Worker;

struct EngineConfig {
  // Per worker the (ip, port) pairs to bind; port 0 = any.
  std::vector<std::vector<std::pair<std::string, std::uint16_t>>> sockets;
  // Where ICE-TCP is accepted, for all workers; none: not at all.
  std::vector<std::pair<std::string, std::uint16_t>> tcp;
  int gate_fd = -1;
  std::uint32_t gate_slots = 0;
  SrtpTable srtp;
  HmacTable hmac{};  // incomplete: Python answers every check
  bool gro = true;
  std::uint32_t coalesce_us = 2000;
  std::uint32_t idle_ms = 10'000;
  std::uint64_t seed = 0;  // keys the hash tables that strangers' addresses fall into
};

class Engine {
 public:
  // Null with the reason in `error`.
  static std::unique_ptr<Engine> start(const EngineConfig& config, std::string& error);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Joins the threads and closes every descriptor; events that wait can still be polled. Idempotent.
  void close();

  [[nodiscard]] int event_fd() const { return event_wake_.fd(); }
  [[nodiscard]] std::size_t workers() const { return workers_.size(); }
  // Empty for a worker that is not there.
  [[nodiscard]] std::vector<Endpoint> addresses(std::size_t worker) const;
  // The TCP listeners', in the order of the configuration.
  [[nodiscard]] const std::vector<Endpoint>& tcp_addresses() const { return tcp_addresses_; }
  [[nodiscard]] GatePage& gates() { return gates_; }
  // Opens a gate for what arrives from now on. False for a slot outside the page.
  bool open_gate(std::uint32_t slot, std::uint64_t version) { return gates_.open(slot, version, monotonic_now()); }

  // Queues a command; its ack number, or nothing when a worker's queue is full (or the engine is closed). It is
  // answered once, when every worker that it concerns has done its part.
  // An id that names nothing is answered by an Ack with a reason, like any other refusal.
  template <typename Body>
  std::optional<std::uint64_t> command(Body body) {
    const auto number = enqueue(std::move(body));
    flush();
    return number;
  }

  // The same, but no worker is woken for it: `flush` must follow. One wake-up, which may cost the caller its core for
  // a while, then serves many commands.
  template <typename Body>
  std::optional<std::uint64_t> enqueue(Body body) {
    const std::lock_guard lock(control_);
    if (!has_room(dispatcher_->bound(body))) {
      return std::nullopt;
    }
    const std::uint64_t number = ++last_ack_;
    submit(number, dispatcher_->plan(number, std::move(body)));
    return number;
  }
  void flush();

  // Hands up to `limit` events to `control` and `network` (worker index first); returns how many.
  std::size_t poll(std::size_t limit, const std::function<void(std::size_t, const ControlEvent&)>& control,
                   const std::function<void(std::size_t, const NetworkEvent&)>& network);

 private:
  // Room that commands leave for the tidying after a refusal.
  static constexpr std::size_t kSpareRoom = 64;

  // A command that several workers answer.
  struct Joint {
    std::size_t left = 0;
    std::string error;
  };

  Engine() = default;

  void knock();  // with `control_` held
  [[nodiscard]] bool has_room(std::size_t parts) const;
  void submit(std::uint64_t number, Parts parts);
  // One worker's answer; true when it is the command's, with the first refusal of any worker in `error`.
  bool take_answer(std::uint64_t number, std::string& error);

  // Destroyed in reverse: the workers end before what they refer to.
  GatePage gates_;
  SrtpTable srtp_;
  Wake event_wake_;
  std::unique_ptr<Neighbours> neighbours_;
  std::vector<std::unique_ptr<Worker>> workers_;

  std::vector<Endpoint> tcp_addresses_;

  std::mutex control_;
  std::mutex polling_;
  std::uint64_t last_ack_ = 0;
  std::vector<bool> is_knocking_;  // workers that have commands which they were not told of
  bool closed_ = false;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unordered_map<std::uint64_t, Joint> joints_;
};

}  // namespace parley
