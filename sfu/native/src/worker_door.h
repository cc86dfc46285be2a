// Where other threads knock at a worker: its bell, which links have something for it, connections handed to it.
// Outlives every worker.
// Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>

#include "command_queue.h"
#include "ready_set.h"
#include "tcp_arrival.h"
#include "wake.h"

namespace parley {

struct WorkerDoor {
  static constexpr std::size_t kMaxArrivals = 256;

  Wake wake;
  ReadySet ready;
  CommandQueue<TcpArrival> arrivals{kMaxArrivals};

  // After the work behind `slot` was published.
  void knock(std::uint32_t slot) {
    ready.mark(slot);
    wake.notify();
  }
};

}  // namespace parley
