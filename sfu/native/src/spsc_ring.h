// A bounded ring from one thread to another: a worker's events for Python, a track's packets for another worker.
// Thread: one producer, one consumer (or several that are serialised).
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>
#include <vector>

namespace parley {

template <typename T>
class SpscRing {
 public:
  // `capacity` is rounded up to a power of two.
  explicit SpscRing(std::size_t capacity) {
    std::size_t size = 1;
    while (size < capacity) {
      size *= 2;
    }
    slots_.resize(size);
  }

  // The slot to fill, or null when the ring is full (the caller counts the drop); publish() makes it visible.
  // Slots are reused: a filled slot keeps its own memory, so that steady state allocates nothing.
  T* claim() {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) == slots_.size()) {
      return nullptr;
    }
    return &slots_[tail & (slots_.size() - 1)];
  }

  void publish() { tail_.store(tail_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  // The oldest entry, or null; release() gives its slot back.
  T* front() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_acquire)) {
      return nullptr;
    }
    return &slots_[head & (slots_.size() - 1)];
  }

  void release() { head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  [[nodiscard]] std::size_t size() const {
    return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_acquire);
  }

 private:
  std::vector<T> slots_;
  alignas(64) std::atomic<std::size_t> head_{0};
  alignas(64) std::atomic<std::size_t> tail_{0};
};

}  // namespace parley
