#include "resender.h"

#include "registry.h"
#include "track.h"
#include "transport.h"

namespace parley {

void Resender::resend(Forward& forward, std::uint16_t seq, TimeNs now) {
  ++forward.nacked;
  if (!may_resend(forward)) {
    return;
  }
  SentPacket sent;
  switch (forward.sequencer.request(seq, now, forward.transport.rtt, sent)) {
    case ResendVerdict::kSend:
      send(forward, sent, now);
      return;
    case ResendVerdict::kUnknown:
      context_.counters.add(Counter::drop_nack_not_stored);
      return;
    case ResendVerdict::kTooSoon:
    case ResendVerdict::kExhausted:
    case ResendVerdict::kOverBudget:
      context_.counters.add(Counter::drop_nack_budget);
      return;
  }
}

void Resender::repeat_lost(Transport& transport, TimeNs now) {
  Downlink* downlink = transport.downlink.get();
  if (downlink == nullptr) {
    return;
  }
  for (const PacketResult& result : downlink->estimator.results()) {
    const auto repair = result.received ? std::nullopt : downlink->repairs.take(result.seq);
    if (!repair || now - repair->sent > kUseful) {
      continue;
    }
    Forward* forward = registry_.forward(repair->forward);
    SentPacket sent;
    if (forward != nullptr && may_resend(*forward) &&
        forward->sequencer.repeat(repair->seq, repair->sent, now, sent) == ResendVerdict::kSend) {
      context_.counters.add(Counter::rtx_repeated);
      send(*forward, sent, now);
    }
  }
}

bool Resender::may_resend(const Forward& forward) {
  if (!forward.transport.can_send()) {
    context_.counters.add(Counter::drop_not_writable);
    return false;
  }
  if (forward.track == nullptr || !forward.track->enabled || !context_.gates.is_open(forward.gate)) {
    context_.counters.add(Counter::drop_gate_closed);
    return false;
  }
  if (forward.rtx_ssrc == 0) {
    context_.counters.add(Counter::drop_nack_no_rtx);
    return false;
  }
  return true;
}

void Resender::send(Forward& forward, const SentPacket& sent, TimeNs now) {
  // Only the source that the gate speaks for: what an earlier source sent is not repeated.
  const Encoding* encoding = registry_.encoding(sent.source);
  if (encoding == nullptr || &encoding->track != forward.track) {
    context_.counters.add(Counter::drop_nack_not_stored);
    return;
  }
  const Packet* packet = encoding->store.get_by_low32(sent.source_seq, now);
  if (packet == nullptr) {
    context_.counters.add(Counter::drop_nack_not_stored);
    return;
  }
  const std::int16_t rtx_pt = forward.payload_type(packet->codec).rtx_pt;
  if (rtx_pt < 0) {
    context_.counters.add(Counter::drop_nack_no_rtx);
    return;
  }
  const RtpRewrite rewrite{
      .ssrc = forward.rtx_ssrc,
      .timestamp = sent.timestamp,
      .original_seq = sent.seq,
      .seq = forward.rtx_seq,
      .pt = static_cast<std::uint8_t>(rtx_pt),
      .marker = sent.marker,
      .frame_number = packet->payload.picture.has_frame_number ? std::int32_t{sent.frame_number} : -1};
  const PayloadPatch patch = payload_patch(*packet, sent.picture_id, sent.tl0_pic_idx, sent.keyidx);
  planner_.start(*packet);
  const ExtensionPlan& plan = planner_.plan(forward.transport.send_ids);
  const MutableBytes out = context_.arena.claim();
  const std::size_t size =
      write_rtp(*packet, forward.header, plan, rewrite, patch, out.first(out.size() - kMaxSrtpTrailer));
  if (size == 0) {
    context_.counters.add(Counter::drop_rtp_too_long);
    return;
  }
  const std::uint16_t number = forward.transport.next_twcc;
  const StampOffsets stamps = stamp_offsets(forward.header, plan);
  if (!departures_.send_now(forward, out, size, stamps, now)) {
    return;
  }
  if (stamps.twcc != 0 && forward.transport.downlink != nullptr) {
    forward.transport.downlink->repairs.sent({.forward = forward.id, .seq = sent.seq, .number = number, .sent = now});
  }
  ++forward.rtx_seq;
  ++forward.resent;
  context_.counters.add(Counter::rtx_sent);
}

}  // namespace parley
