// Units of time that every algorithm of the core takes as parameters.
// Thread: any; constants and aliases only.
#pragma once

#include <cstdint>
#include <limits>

namespace parley {

// Nanoseconds of CLOCK_MONOTONIC. Nothing in this library reads a clock: `now` always comes in.
using TimeNs = std::int64_t;

inline constexpr TimeNs kMicrosecond = 1'000;
inline constexpr TimeNs kMillisecond = 1'000'000;
inline constexpr TimeNs kSecond = 1'000'000'000;

constexpr double to_seconds(TimeNs time) { return static_cast<double>(time) / static_cast<double>(kSecond); }

// A path's round-trip time until one was measured.
inline constexpr TimeNs kAssumedRtt = 100 * kMillisecond;

// "Nothing pending": later than any clock value.
inline constexpr TimeNs kNever = std::numeric_limits<TimeNs>::max();

}  // namespace parley
