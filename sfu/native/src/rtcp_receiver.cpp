#include "rtcp_receiver.h"

#include <algorithm>

#include "client_mode.h"
#include "rtp_receiver.h"

namespace parley {

namespace {

// Smoothed as TCP does; 0 stays "unknown".
void note_rtt(Transport& transport, TimeNs rtt) {
  const TimeNs measured = std::max(rtt, kMicrosecond);
  transport.rtt = transport.rtt == 0 ? measured : (transport.rtt * 7 + measured) / 8;
}

}  // namespace

void RtcpReceiver::receive(Transport& transport, MutableBytes datagram, TimeNs now) {
  context_.counters.add(Counter::rtcp_received);
  ++transport.rtcp_received;
  // SRTCP keeps state per sender too: the same cap holds.
  const std::uint32_t sender = load_u32(datagram, 4);
  if (transport.ssrcs.find(sender) == nullptr && transport.ssrcs.is_full()) {
    context_.counters.add(Counter::drop_ssrc_limit);
    return;
  }
  std::size_t size = datagram.size();
  const SrtpError error = transport.srtp.unprotect_rtcp(datagram.data(), size);
  if (error != SrtpError::kNone) {
    count_rejected(context_, transport, error);
    return;
  }
  note_authentic(context_, transport, now);
  transport.ssrcs.claim(sender);
  if (transport.client != nullptr) {
    transport.client->receive_rtcp(transport, datagram.first(size), now);
    return;
  }
  RtcpReader reader(datagram.first(size));
  std::size_t nacked = 0;
  for (std::size_t count = 0; count < kMaxMessages; ++count) {
    const auto message = reader.next();
    if (!message) {
      break;
    }
    switch (message->kind) {
      case RtcpKind::kSenderReport:
        receive_sender_report(transport, *message, now);
        receive_report_blocks(transport, *message, now);
        break;
      case RtcpKind::kReceiverReport:
        receive_report_blocks(transport, *message, now);
        break;
      case RtcpKind::kNack:
        receive_nack(transport, *message, nacked, now);
        break;
      case RtcpKind::kPli:
        if (const auto header = read_feedback_header(*message)) {
          receive_keyframe_request(transport, header->media_ssrc, now);
        }
        break;
      case RtcpKind::kFir:
        for (std::size_t index = 0; index < fir_entry_count(*message); ++index) {
          receive_keyframe_request(transport, read_fir_entry(*message, index).ssrc, now);
        }
        break;
      case RtcpKind::kRemb:
        receive_remb(transport, *message, now);
        break;
      case RtcpKind::kTransportFeedback:
        if (const auto feedback = TransportFeedbackReader::open(*message)) {
          departures_.feedback(transport, *feedback, now);
          resender_.repeat_lost(transport, now);
        }
        break;
      case RtcpKind::kExtendedReport:
        receive_echoes(transport, *message, now);
        break;
      case RtcpKind::kSdes:
      case RtcpKind::kBye:
      case RtcpKind::kOther:
        break;
    }
  }
  if (reader.malformed()) {
    context_.counters.add(Counter::drop_rtcp_malformed);
  }
}

void RtcpReceiver::receive_sender_report(Transport& transport, const RtcpMessage& message, TimeNs now) {
  const auto info = read_sender_info(message);
  if (!info) {
    context_.counters.add(Counter::drop_rtcp_malformed);
    return;
  }
  take_report(transport, *info, now);
}

void RtcpReceiver::take_report(Transport& transport, const SenderInfo& report, TimeNs now) {
  const SsrcEntry* entry = transport.ssrcs.find(report.ssrc);
  if (entry == nullptr || entry->track == nullptr || entry->role != SsrcEntry::Role::kMedia) {
    return;  // before its first packet, or of a retransmission source
  }
  Track& track = *entry->track;
  if (!track.enabled) {
    return;
  }
  Encoding& encoding = *track.encodings[entry->encoding];
  encoding.stats.receive_sender_report(report.ntp, now);
  track.clocks.receive(encoding.index, report, now);
  links_.share(track, encoding.index, report, now);
  taps_.report(track, encoding.index, report, now);
}

void RtcpReceiver::receive_report_blocks(Transport& transport, const RtcpMessage& message, TimeNs now) {
  const std::size_t count = report_block_count(message);
  for (std::size_t index = 0; index < count; ++index) {
    const auto block = read_report_block(message, index);
    if (!block) {
      continue;
    }
    const auto at = transport.forwards_by_ssrc.find(block->ssrc);
    if (at == transport.forwards_by_ssrc.end() || at->second->ssrc != block->ssrc) {
      continue;
    }
    Forward& forward = *at->second;
    forward.fraction_lost = block->fraction_lost;
    forward.lost = block->cumulative_lost > 0 ? static_cast<std::uint32_t>(block->cumulative_lost) : 0;
    if (const auto rtt = forward.reports.rtt(*block, now)) {
      note_rtt(transport, *rtt);
    }
  }
}

void RtcpReceiver::receive_echoes(Transport& transport, const RtcpMessage& message, TimeNs now) {
  for_each_echo(message, [&](const ReferenceEcho& echo) {
    const ReportBlock block{.last_sr = echo.last_time, .delay_since_sr = echo.delay};
    if (const auto rtt = transport.reference.rtt(block, now); rtt && echo.ssrc == transport.local_ssrc) {
      note_rtt(transport, *rtt);
    }
  });
}

Forward* RtcpReceiver::forward_of(Transport& transport, std::uint32_t media_ssrc) {
  const auto at = transport.forwards_by_ssrc.find(media_ssrc);
  if (at == transport.forwards_by_ssrc.end()) {
    context_.counters.add(Counter::drop_rtcp_unknown_ssrc);
    return nullptr;
  }
  return at->second;
}

void RtcpReceiver::receive_nack(Transport& transport, const RtcpMessage& message, std::size_t& nacked, TimeNs now) {
  const auto header = read_feedback_header(message);
  Forward* forward = header ? forward_of(transport, header->media_ssrc) : nullptr;
  if (forward == nullptr) {
    return;
  }
  for_each_nacked(message, [&](std::uint16_t seq) {
    context_.counters.add(Counter::nacks_received);
    if (++nacked > kMaxNacked) {
      context_.counters.add(Counter::drop_nack_budget);
      return;
    }
    resender_.resend(*forward, seq, now);
  });
}

void RtcpReceiver::receive_keyframe_request(Transport& transport, std::uint32_t media_ssrc, TimeNs now) {
  Forward* forward = forward_of(transport, media_ssrc);
  if (forward == nullptr || forward->track == nullptr || forward->layers.is_paused()) {
    return;
  }
  ++forward->keyframe_requests;
  const auto& encodings = forward->track->encodings;
  const int current = forward->layers.current();
  if (current >= 0 && static_cast<std::size_t>(current) < encodings.size()) {
    keyframes_.request(*encodings[static_cast<std::size_t>(current)], now);
  } else if (const auto awaited = forward->layers.awaited(); awaited && *awaited < encodings.size()) {
    keyframes_.request(*encodings[*awaited], now);
  }
}

void RtcpReceiver::receive_remb(Transport& transport, const RtcpMessage& message, TimeNs now) {
  constexpr TimeNs kMinInterval = 200 * kMillisecond;
  const auto remb = read_remb(message);
  const bool has_better = transport.downlink != nullptr && transport.downlink->estimator.has_feedback();
  if (!remb || has_better || now - transport.last_bandwidth_event < kMinInterval) {
    return;
  }
  transport.last_bandwidth_event = now;
  context_.events.post(BandwidthEvent{transport.id, remb->bitrate_bps});
}

}  // namespace parley
