#include "transport.h"

#include "client_mode.h"

namespace parley {

Transport::Transport(std::uint32_t transport_id) : id(transport_id) {}

// Here, where ClientReceiver is a complete type.
Transport::~Transport() = default;

}  // namespace parley
