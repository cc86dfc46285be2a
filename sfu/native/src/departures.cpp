#include "departures.h"

#include <algorithm>
#include <cmath>

#include "track.h"

namespace parley {

namespace {

void stamp(MutableBytes packet, StampOffsets at, std::uint16_t twcc_seq, TimeNs now) {
  if (at.twcc != 0) {
    store_u16(packet, at.twcc, twcc_seq);
  }
  if (at.abs_send_time != 0) {
    store_u24(packet, at.abs_send_time, to_abs_send_time(now));
  }
}

// The retransmission payload type to pad with: that of the codec sent last, else any; -1: the peer takes none.
int padding_type(const Forward& forward) {
  if (forward.last_rtx_pt >= 0) {
    return forward.last_rtx_pt;
  }
  const auto found = std::ranges::find_if(forward.payload_types, [](const auto& type) { return type.rtx_pt >= 0; });
  return found == forward.payload_types.end() ? -1 : found->rtx_pt;
}

}  // namespace

bool Departures::send(Forward& forward, MutableBytes claimed, std::size_t size, StampOffsets stamps, TimeNs now) {
  Downlink* downlink = forward.transport.downlink.get();
  const bool is_paced = downlink != nullptr && forward.is_video && downlink->is_paced(now);
  if (!is_paced || downlink->pacer.may_send(size, now)) {
    return is_paced ? depart(forward.transport, claimed, size, stamps, 0, now)
                    : send_now(forward, claimed, size, stamps, now);
  }
  const HeldPacket held{.forward = forward.id, .gate = forward.gate, .stamps = stamps};
  if (!downlink->pacer.has_room(size)) {
    context_.counters.add(Counter::drop_pacer_full);
    return false;
  }
  if (!downlink->pacer.push(pool_, claimed.first(size), held)) {
    // Others hold all slots of the worker: a packet out of its turn does less harm than one that is missing.
    context_.counters.add(Counter::rtp_unpaced);
    return send_now(forward, claimed, size, stamps, now);
  }
  context_.counters.add(Counter::rtp_paced);
  list(forward.transport, now);
  return true;
}

void Departures::spread(Transport& transport, TimeNs now) {
  if (transport.downlink != nullptr) {
    transport.downlink->paced_until = now + kSpread;
  }
}

bool Departures::send_now(Forward& forward, MutableBytes claimed, std::size_t size, StampOffsets stamps, TimeNs now) {
  if (Downlink* downlink = forward.transport.downlink.get()) {
    downlink->pacer.spend(size, now);
  }
  return depart(forward.transport, claimed, size, stamps, 0, now);
}

bool Departures::depart(Transport& transport, MutableBytes claimed, std::size_t size, StampOffsets stamps,
                        std::uint16_t cluster, TimeNs now) {
  stamp(claimed, stamps, transport.next_twcc, now);
  if (transport.srtp.protect_rtp(claimed.data(), size) != SrtpError::kNone) {
    context_.counters.add(Counter::drop_srtp_not_sent);
    return false;
  }
  if (stamps.twcc != 0) {
    if (transport.downlink != nullptr) {
      transport.downlink->estimator.sent(transport.next_twcc, static_cast<std::uint32_t>(size) + kUdpOverhead, cluster,
                                         now);
    }
    ++transport.next_twcc;
  }
  const Path& path = *transport.path();
  context_.arena.commit(path.id, size);
  ++transport.packets_sent;
  transport.bytes_sent += size;
  return true;
}

void Departures::list(Transport& transport, TimeNs now) {
  if (transport.downlink->is_listed) {
    return;
  }
  if (working_.empty()) {
    next_tick_ = now + kTick;
  }
  transport.downlink->is_listed = true;
  working_.push_back(&transport);
}

void Departures::tick(TimeNs now) {
  if (working_.empty() || now < next_tick_) {
    return;
  }
  next_tick_ = now + kTick;
  std::erase_if(working_, [&](Transport* transport) {
    Downlink& downlink = *transport->downlink;
    if (!transport->can_send()) {
      downlink.pacer.clear(pool_);
      downlink.probe = {};
    } else {
      release(*transport, now);
      send_probe(*transport, now);
    }
    downlink.is_listed = downlink.has_work();
    return !downlink.is_listed;
  });
}

bool Departures::may_leave(const HeldPacket& held) const {
  const Forward* forward = registry_.forward(held.forward);
  return forward != nullptr && forward->track != nullptr && forward->track->enabled && !forward->layers.is_paused() &&
         context_.gates.is_open(held.gate);
}

void Departures::release(Transport& transport, TimeNs now) {
  Pacer& pacer = transport.downlink->pacer;
  for (std::uint32_t index = pacer.pop(pool_, now); index != SlotPool::kNone; index = pacer.pop(pool_, now)) {
    const SlotPool::Slot& slot = pool_.at(index);
    if (may_leave(slot.held)) {
      const MutableBytes claimed = context_.arena.claim();
      std::copy_n(slot.bytes.begin(), slot.size, claimed.begin());
      (void)depart(transport, claimed, slot.size, slot.held.stamps, 0, now);
    } else {
      context_.counters.add(Counter::drop_gate_closed);
    }
    pool_.release(index);
  }
}

void Departures::feedback(Transport& transport, const TransportFeedbackReader& reader, TimeNs now) {
  Downlink* downlink = transport.downlink.get();
  if (downlink == nullptr) {
    return;
  }
  const bool is_known = downlink->estimator.feedback(reader, now);
  context_.counters.add(is_known ? Counter::twcc_received : Counter::twcc_unknown);
  if (transport.rtt == 0) {
    transport.rtt = downlink->estimator.rtt();
  }
  downlink->pacer.set_estimate(downlink->estimator.bps());
  tell(transport, now);
  start_probe(transport, now);
}

void Departures::visit(Transport& transport, TimeNs now) {
  Downlink* downlink = transport.downlink.get();
  if (downlink == nullptr || !downlink->estimator.has_feedback()) {
    return;
  }
  downlink->estimator.tick(now);
  downlink->pacer.set_estimate(downlink->estimator.bps());
  tell(transport, now);
  start_probe(transport, now);
}

void Departures::tell(Transport& transport, TimeNs now) {
  Downlink& downlink = *transport.downlink;
  const double bps = downlink.estimator.bps();
  const TimeNs age = now - downlink.told_at;
  const bool is_news = std::abs(bps - downlink.told_bps) >= kWorthTelling * downlink.told_bps;
  if (downlink.told_at != 0 && (age < kMinEventInterval || (!is_news && age < kMaxEventInterval))) {
    return;
  }
  downlink.told_at = now;
  downlink.told_bps = bps;
  context_.events.post(BandwidthEvent{transport.id, static_cast<std::uint64_t>(bps)});
}

void Departures::start_probe(Transport& transport, TimeNs now) {
  Downlink& downlink = *transport.downlink;
  if (downlink.probe.cluster != 0 || !transport.can_send()) {
    return;
  }
  if (const auto plan = downlink.estimator.probe(now)) {
    downlink.probe = *plan;
    downlink.probe_sent_bytes = 0;
    downlink.probe_started = now;
    list(transport, now);
  }
}

void Departures::send_probe(Transport& transport, TimeNs now) {
  Downlink& downlink = *transport.downlink;
  if (downlink.probe.cluster == 0) {
    return;
  }
  const double elapsed = static_cast<double>(now - downlink.probe_started + kTick) / static_cast<double>(kSecond);
  const auto due = std::min(static_cast<std::uint32_t>(downlink.probe.bps / 8 * elapsed), downlink.probe.bytes);
  while (downlink.probe_sent_bytes < due) {
    if (!send_padding(transport, now)) {
      downlink.probe = {};
      return;
    }
  }
  if (downlink.probe_sent_bytes >= downlink.probe.bytes) {
    downlink.probe = {};
  }
}

// A packet of padding alone on a retransmission source: it repairs nothing and is decoded by nobody.
bool Departures::send_padding(Transport& transport, TimeNs now) {
  const auto usable = [](const Forward* forward) {
    return forward->is_video && forward->rtx_ssrc != 0 && padding_type(*forward) >= 0 && forward->header.has_twcc();
  };
  const auto found = std::ranges::find_if(transport.forwards, usable);
  if (found == transport.forwards.end()) {
    return false;
  }
  Forward& forward = **found;
  const RtpRewrite rewrite{.ssrc = forward.rtx_ssrc,
                           .timestamp = forward.munger.last_timestamp(),
                           .seq = forward.rtx_seq,
                           .pt = static_cast<std::uint8_t>(padding_type(forward))};
  const MutableBytes claimed = context_.arena.claim();
  const std::size_t header_size = write_rtp(Packet{}, forward.header, blank_plan_, rewrite, {}, claimed);
  if (header_size == 0) {
    return false;
  }
  claimed[0] |= 0x20U;  // P
  std::fill_n(claimed.begin() + static_cast<std::ptrdiff_t>(header_size), kPaddingBytes, std::uint8_t{0});
  claimed[header_size + kPaddingBytes - 1] = kPaddingBytes;
  const std::size_t size = header_size + kPaddingBytes;
  const std::uint16_t cluster = transport.downlink->probe.cluster;
  if (!depart(transport, claimed, size, stamp_offsets(forward.header, blank_plan_), cluster, now)) {
    return false;
  }
  ++forward.rtx_seq;
  transport.downlink->probe_sent_bytes += static_cast<std::uint32_t>(size) + kUdpOverhead;
  context_.counters.add(Counter::padding_sent);
  return true;
}

void Departures::forget(Transport& transport) {
  if (transport.downlink != nullptr) {
    transport.downlink->pacer.clear(pool_);
    std::erase(working_, &transport);
  }
}

}  // namespace parley
