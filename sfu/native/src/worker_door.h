// Where other threads knock at a worker: its bell, and which links have something for it. Outlives every worker.
// Thread: any.
#pragma once

#include "ready_set.h"
#include "wake.h"

namespace parley {

struct WorkerDoor {
  Wake wake;
  ReadySet ready;

  // After the work behind `slot` was published.
  void knock(std::uint32_t slot) {
    ready.mark(slot);
    wake.notify();
  }
};

}  // namespace parley
