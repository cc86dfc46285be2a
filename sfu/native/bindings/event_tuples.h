// What the core tells, as the tuples of the contract (sfu/engine/events.py reads them).
// Thread: the Python thread that polls.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>

#include "events.h"

namespace parley {

// None for the empty event.
nanobind::object to_tuple(std::size_t worker, const ControlEvent& event);
nanobind::object to_tuple(std::size_t worker, const NetworkEvent& event);

}  // namespace parley
