// Comparing and unwrapping counters that wrap around: sequence numbers (u16), timestamps (u32), picture ids.
// Thread: any, one object at a time.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace parley {

// How far `a` is ahead of `b`, taking the shorter way round. Exactly half way counts as behind.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::make_signed_t<T> wrap_diff(T a, T b) {
  return static_cast<std::make_signed_t<T>>(static_cast<T>(a - b));
}

// `a` comes after `b`.
template <std::unsigned_integral T>
[[nodiscard]] constexpr bool is_newer(T a, T b) {
  return wrap_diff(a, b) > 0;
}

// Turns a wrapping counter of `Bits` bits into a monotonic 64-bit one. The reference is the highest value so far, so
// that a burst of old values cannot drag it back.
template <unsigned Bits>
class Unwrapper {
  static_assert(Bits >= 2 && Bits <= 32);

 public:
  // The extended value nearest to the highest so far; advances it. The first value is itself (it may later be followed
  // by negative ones, when packets overtook each other at the start).
  std::int64_t unwrap(std::uint32_t value) {
    const std::int64_t extended = peek(value);
    if (!started_ || extended > highest_) {
      highest_ = extended;
      started_ = true;
    }
    return extended;
  }

  // The same without advancing.
  [[nodiscard]] std::int64_t peek(std::uint32_t value) const {
    constexpr std::int64_t kRange = std::int64_t{1} << Bits;
    const std::int64_t wrapped = static_cast<std::int64_t>(value) & (kRange - 1);
    if (!started_) {
      return wrapped;
    }
    std::int64_t diff = (wrapped - highest_) & (kRange - 1);
    if (diff >= kRange / 2) {
      diff -= kRange;
    }
    return highest_ + diff;
  }

  [[nodiscard]] bool started() const { return started_; }
  [[nodiscard]] std::int64_t highest() const { return highest_; }
  void reset() { *this = Unwrapper{}; }

 private:
  std::int64_t highest_ = 0;
  bool started_ = false;
};

using SeqUnwrapper = Unwrapper<16>;
using TimestampUnwrapper = Unwrapper<32>;
using PictureIdUnwrapper = Unwrapper<15>;

}  // namespace parley
