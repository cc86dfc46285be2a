// What comes to a worker before there are keys, and what keeps a path: STUN and DTLS, within limits, to Python or
// answered.
#include <optional>

#include "stun_probe.h"
#include "worker.h"

namespace parley {

void Worker::receive_stun(const PathId& path, Transport* bound, Bytes datagram, TimeNs now) {
  if (datagram.size() > NetworkEvent::kMaxBytes) {
    context_.counters.add(Counter::drop_stun_malformed);
    return;
  }
  // The offering side of client mode asks and gets answers, which carry no USERNAME; its one path is known.
  Transport* transport = bound != nullptr && bound->client != nullptr ? bound : nullptr;
  std::optional<StunProbe> probe;
  if (transport == nullptr) {
    probe = probe_stun(datagram);
    if (!probe) {
      context_.counters.add(Counter::drop_stun_malformed);
      return;
    }
    // An ICE-lite agent asks nothing, so that nothing but requests (and indications, which need no answer) is for it.
    if (!probe->is_request() || probe->method != kStunBinding) {
      context_.counters.add(Counter::drop_stun_not_request);
      return;
    }
    transport = registry_.transport_of_ufrag(probe->ufrag);
    if (transport == nullptr) {
      context_.counters.add(Counter::drop_stun_unknown_ufrag);
      return;
    }
  }
  // A peer's checks from where it is known keep its consent: they have a share of their own, which neither a
  // flood of others nor anything in its name from elsewhere uses up. One that floods uses up its own alone.
  const bool is_from_known_path = bound == transport;
  TokenBucket& share = is_from_known_path ? transport->check_budget : transport->stray_check_budget;
  if (!share.take(1, now) || (!is_from_known_path && !stun_guard_.admit(path.remote, now))) {
    context_.counters.add(Counter::drop_stun_rate);
    return;
  }
  if (probe && checks_.take(*transport, path, datagram, *probe, now)) {
    return;
  }
  expect_handshake(*transport, now);
  if (context_.events.post_datagram(true, transport->id, path, datagram)) {
    context_.counters.add(Counter::stun_delivered);
  }
}

void Worker::receive_dtls(const PathId& path, Transport* bound, Bytes datagram, TimeNs now) {
  if (bound == nullptr) {
    context_.counters.add(Counter::drop_dtls_unbound);
    return;
  }
  if (datagram.size() > NetworkEvent::kMaxBytes || !bound->dtls_budget.take(1, now)) {
    context_.counters.add(Counter::drop_event_network_full);
    return;
  }
  expect_handshake(*bound, now);
  if (context_.events.post_datagram(false, bound->id, path, datagram)) {
    context_.counters.add(Counter::dtls_delivered);
  }
}

void Worker::expect_handshake(const Transport& transport, TimeNs now) {
  if (!transport.srtp.can_send() && transport.client == nullptr) {
    handshakes_until_ = now + kHandshakeStep;
  }
}

}  // namespace parley
