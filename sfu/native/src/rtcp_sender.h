// Sends one compound RTCP packet of a transport: written, protected and queued in the arena.
// Thread: the worker that owns it.
#pragma once

#include <string_view>

#include "bytes.h"
#include "rtcp_build.h"
#include "transport.h"
#include "worker_context.h"

namespace parley {

inline constexpr std::size_t kMaxRtcpBytes = 1200;
inline constexpr std::string_view kCname = "parley";

// `build(Writer&)` appends messages behind an RR (empty) and SDES that make the packet a legal compound one
// (RFC 3550 section 6.1); false from it sends nothing. Returns whether a packet was queued.
template <typename Build>
bool send_feedback(WorkerContext& context, Transport& transport, Build&& build);

// Protects and queues what `writer` holds; `buffer` is the arena claim that it wrote into.
bool queue_rtcp(WorkerContext& context, const Transport& transport, MutableBytes buffer, std::size_t size);

template <typename Build>
bool send_feedback(WorkerContext& context, Transport& transport, Build&& build) {
  if (!transport.can_send()) {
    context.counters.add(Counter::drop_no_path);
    return false;
  }
  const MutableBytes buffer = context.arena.claim();
  Writer writer(buffer.first(kMaxRtcpBytes));
  append_receiver_report(writer, transport.local_ssrc, {});
  append_sdes_cname(writer, transport.local_ssrc, kCname);
  return build(writer) && writer.ok() && queue_rtcp(context, transport, buffer, writer.size());
}

}  // namespace parley
