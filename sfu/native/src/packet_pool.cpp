#include "packet_pool.h"

namespace parley {

PacketPool::Reference PacketPool::claim() {
  // Rings give packets back in order, so that the next one is free nearly always; a slow ring's are stepped over.
  for (std::size_t tried = 0; tried < capacity(); ++tried) {
    const std::size_t at = next_ == capacity() ? 0 : next_;
    next_ = at + 1;
    Block& block = *blocks_[at / kBlock];
    if (block.holders[at % kBlock].load(std::memory_order_acquire) == 0) {
      return {&block.packets[at % kBlock], &block.holders[at % kBlock]};
    }
  }
  if (blocks_.size() >= limit_) {
    return {};
  }
  next_ = capacity() + 1;
  blocks_.push_back(std::make_unique<Block>());
  return {blocks_.back()->packets.data(), blocks_.back()->holders.data()};
}

}  // namespace parley
