// What every part of one worker shares: counters, the send arena, the outbox, gates, randomness.
// Thread: the worker that owns it.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <span>

#include "counters.h"
#include "event_outbox.h"
#include "gate_page.h"
#include "hmac.h"
#include "neighbours.h"
#include "send_arena.h"
#include "srtp.h"
#include "tcp_paths.h"
#include "udp_socket.h"
#include "units.h"

namespace parley {

struct WorkerConfig {
  TimeNs coalesce = kMillisecond;
  TimeNs idle = 10 * kSecond;
  std::uint64_t seed = 0;
  std::size_t index = 0;  // among the engine's workers
  HmacTable hmac{};       // incomplete: Python answers every check
};

struct WorkerContext {
  WorkerContext(const WorkerConfig& worker_config, const GatePage& gate_page, const SrtpTable& srtp_table, Wake& wake,
                std::span<const std::unique_ptr<UdpSocket>> sockets, Neighbours& others)
      : config(worker_config),
        gates(gate_page),
        srtp(srtp_table),
        neighbours(others),
        tcp(others.connections, counters),
        arena(sockets, tcp, counters),
        events(wake, counters),
        socket_count(static_cast<std::uint32_t>(sockets.size())),
        random(worker_config.seed) {}

  WorkerConfig config;
  const GatePage& gates;
  const SrtpTable& srtp;
  Neighbours& neighbours;
  Counters counters;
  TcpPaths tcp;
  SendArena arena;
  EventOutbox events;
  std::uint32_t socket_count;
  std::mt19937_64 random;
};

}  // namespace parley
