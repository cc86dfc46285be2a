#include "rtcp_sender.h"

namespace parley {

bool queue_rtcp(WorkerContext& context, const Transport& transport, MutableBytes buffer, std::size_t size) {
  const Path* path = transport.path();
  if (path == nullptr || transport.srtp.protect_rtcp(buffer.data(), size) != SrtpError::kNone) {
    context.counters.add(Counter::drop_srtp_not_sent);
    return false;
  }
  context.arena.commit(path->id, size);
  context.counters.add(Counter::rtcp_sent);
  return true;
}

}  // namespace parley
