#include "path_table.h"

#include <utility>

namespace parley {

std::size_t PathTable::locate(std::uint32_t socket, const Endpoint& remote) const {
  // At most half of the slots are used, so that an empty one always ends the walk.
  std::size_t at = home(socket, remote);
  while (slots_[at].transport != nullptr && (slots_[at].socket != socket || slots_[at].remote != remote)) {
    at = (at + 1) & (slots_.size() - 1);
  }
  return at;
}

Transport* PathTable::find(std::uint32_t socket, const Endpoint& remote) const {
  return slots_[locate(socket, remote)].transport;
}

Transport* PathTable::put(std::uint32_t socket, const Endpoint& remote, Transport* transport) {
  if ((used_ + 1) * 2 > slots_.size()) {
    grow();
  }
  Slot& slot = slots_[locate(socket, remote)];
  if (slot.transport == nullptr) {
    ++used_;
  }
  Transport* before = std::exchange(slot.transport, transport);
  slot.remote = remote;
  slot.socket = socket;
  return before;
}

void PathTable::erase(std::uint32_t socket, const Endpoint& remote) {
  std::size_t hole = locate(socket, remote);
  if (slots_[hole].transport == nullptr) {
    return;
  }
  --used_;
  // Moves back what was displaced over the hole (no tombstones: lookups of strangers stay short).
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = (hole + 1) & mask; slots_[at].transport != nullptr; at = (at + 1) & mask) {
    const std::size_t wanted = home(slots_[at].socket, slots_[at].remote);
    if (((at - wanted) & mask) >= ((at - hole) & mask)) {
      slots_[hole] = slots_[at];
      hole = at;
    }
  }
  slots_[hole].transport = nullptr;
}

void PathTable::grow() {
  std::vector<Slot> before(slots_.size() * 2);
  before.swap(slots_);
  for (const Slot& slot : before) {
    if (slot.transport != nullptr) {
      slots_[locate(slot.socket, slot.remote)] = slot;
    }
  }
}

}  // namespace parley
