// A bounded queue of plain structs from control threads to one worker.
// Thread: many producers (serialised by a mutex of their own side), one consumer that never locks.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace parley {

template <typename T>
class CommandQueue {
 public:
  // `capacity` is rounded up to a power of two.
  explicit CommandQueue(std::size_t capacity) {
    std::size_t size = 1;
    while (size < capacity) {
      size *= 2;
    }
    slots_.resize(size);
  }

  // False when full: nothing was taken from `value`.
  bool push(T&& value) {
    const std::lock_guard lock(producers_);
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) == slots_.size()) {
      return false;
    }
    slots_[tail & (slots_.size() - 1)] = std::move(value);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  std::optional<T> pop() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_acquire)) {
      return std::nullopt;
    }
    std::optional<T> value(std::move(slots_[head & (slots_.size() - 1)]));
    head_.store(head + 1, std::memory_order_release);
    return value;
  }

  [[nodiscard]] bool empty() const {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire);
  }

  // Does not shrink for a producer that keeps others out.
  [[nodiscard]] std::size_t room() const {
    return slots_.size() - (tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_acquire));
  }

  [[nodiscard]] std::size_t capacity() const { return slots_.size(); }

 private:
  std::vector<T> slots_;
  std::mutex producers_;
  alignas(64) std::atomic<std::size_t> head_{0};
  alignas(64) std::atomic<std::size_t> tail_{0};
};

}  // namespace parley
