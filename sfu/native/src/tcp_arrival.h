// A TCP connection on its way to the worker that owns its transport.
// Thread: made by the accepting worker, moved through the other's door.
#pragma once

#include <cstdint>
#include <vector>

#include "path_id.h"
#include "unique_fd.h"

namespace parley {

struct TcpArrival {
  UniqueFd fd;
  PathId path;
  std::vector<std::uint8_t> received;  // bytes that nobody has read yet
};

}  // namespace parley
