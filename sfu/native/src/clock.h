// The clock that every time in the core is of.
// Thread: any.
#pragma once

#include <ctime>

#include "units.h"

namespace parley {

inline TimeNs monotonic_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<TimeNs>(now.tv_sec) * kSecond + now.tv_nsec;
}

}  // namespace parley
