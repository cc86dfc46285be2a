// Bounds that every part of the send-side estimator shares.
// Thread: any; constants only.
#pragma once

namespace parley {

inline constexpr double kMinBps = 50'000;  // below, not even audio passes
inline constexpr double kMaxBps = 100'000'000;
inline constexpr double kStartBps = 800'000;

}  // namespace parley
