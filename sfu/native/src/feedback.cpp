#include "feedback.h"

#include <algorithm>
#include <array>

#include "client_mode.h"
#include "rtcp_sender.h"

namespace parley {

namespace {

// What a publisher without transport-wide feedback may send: its own encoder limits decide.
constexpr std::uint64_t kOpenBitrate = 8'000'000;

}  // namespace

void Feedback::note_arrival(Transport& transport, std::uint16_t twcc_seq, std::uint32_t ssrc, TimeNs now) {
  transport.twcc.receive(twcc_seq, now);
  transport.last_media_ssrc = ssrc;
  if (!transport.awaits_twcc) {
    transport.awaits_twcc = true;
    reporting_.push_back(&transport);
  }
}

void Feedback::watch(Encoding& encoding) {
  if (!encoding.awaits_nack) {
    encoding.awaits_nack = true;
    nacking_.push_back(&encoding);
  }
}

void Feedback::tick(TimeNs now) {
  if (now < next_tick_) {
    return;
  }
  next_tick_ = now + kTick;
  send_nacks(now);
  send_transport_feedback(now);
  keyframes_.tick(now);
  visit_slice(now - last_tick_, now);
  last_tick_ = now;
  if (now >= next_levels_) {
    next_levels_ = now + kLevelsInterval;
    post_levels(now);
  }
}

void Feedback::send_nacks(TimeNs now) {
  std::erase_if(nacking_, [&](Encoding* encoding) {
    if (encoding->nack.deadline() <= now) {
      std::array<std::uint16_t, kMaxNacks> due{};
      Transport& publisher = *encoding->track.publisher;  // a track from elsewhere misses nothing here
      const std::size_t count = encoding->nack.poll(now, publisher.rtt, due);
      if (count > 0) {
        const bool queued = send_feedback(context_, publisher, [&](Writer& writer) {
          return append_nack(writer, publisher.local_ssrc, encoding->ssrc, std::span(due).first(count));
        });
        context_.counters.add(Counter::nacks_sent, queued ? count : 0);
      }
    }
    encoding->awaits_nack = encoding->nack.deadline() != kNever;
    return !encoding->awaits_nack;
  });
}

void Feedback::send_transport_feedback(TimeNs now) {
  std::erase_if(reporting_, [&](Transport* transport) {
    // What does not fit into one packet waits for the next tick.
    if (transport->twcc.is_due(now)) {
      const bool queued = send_feedback(context_, *transport, [&](Writer& writer) {
        return transport->twcc.build(writer, transport->local_ssrc, transport->last_media_ssrc, now);
      });
      context_.counters.add(Counter::twcc_sent, queued ? 1 : 0);
    }
    transport->awaits_twcc = transport->twcc.deadline() != kNever;
    return !transport->awaits_twcc;
  });
}

// Every transport is visited about once in a round, each tick as many as it lasted.
void Feedback::visit_slice(TimeNs elapsed, TimeNs now) {
  const auto& transports = registry_.transport_list();
  const auto share = static_cast<std::size_t>(std::clamp<TimeNs>(elapsed, kTick, kTick + kSlack));
  const std::size_t count = (transports.size() * share + kRound - 1) / kRound;
  for (std::size_t visited = 0; visited < count; ++visited) {
    if (next_slice_ >= transports.size()) {
      next_slice_ = 0;
    }
    visit(*transports[next_slice_++], now);
  }
}

void Feedback::visit(Transport& transport, TimeNs now) {
  if (transport.is_proven && !transport.is_idle && now - transport.last_authentic >= context_.config.idle) {
    transport.is_idle = true;
    context_.events.post(IdleEvent{transport.id, true});
  }
  for (Track* track : transport.tracks) {
    if (track->tick(now)) {
      tell_layers(*track, now);
    }
  }
  if (!transport.can_send()) {
    return;
  }
  if (transport.client != nullptr) {
    transport.client->tick(transport, now, context_);
    return;
  }
  departures_.visit(transport, now);
  send_sender_reports(transport, now);
  if (now >= transport.next_reports) {
    transport.next_reports = now + kReportInterval;
    send_receiver_reports(transport, now);
  }
}

void Feedback::send_receiver_reports(Transport& transport, TimeNs now) {
  std::array<ReportBlock, 31> blocks;
  std::size_t count = 0;
  std::array<std::uint32_t, 31> open_ssrcs{};
  std::size_t open_count = 0;
  bool needs_rtt = false;
  for (const Track* track : transport.tracks) {
    needs_rtt = needs_rtt || track->nack;
    for (const auto& encoding : track->encodings) {
      if (encoding->has_sent && count < blocks.size()) {
        blocks[count++] = encoding->stats.take_report(encoding->ssrc, now);
        if (track->is_video && !track->twcc) {
          open_ssrcs[open_count++] = encoding->ssrc;
        }
      }
    }
  }
  if (count == 0) {
    return;
  }
  const MutableBytes buffer = context_.arena.claim();
  Writer writer(buffer.first(kMaxRtcpBytes));
  append_receiver_report(writer, transport.local_ssrc, std::span(blocks).first(count));
  append_sdes_cname(writer, transport.local_ssrc, kCname);
  if (needs_rtt) {
    const std::uint64_t time = to_ntp(now);
    append_reference_time(writer, transport.local_ssrc, time);
    transport.reference.sent(time, now);
  }
  if (open_count > 0) {
    append_remb(writer, transport.local_ssrc, kOpenBitrate, std::span(open_ssrcs).first(open_count));
  }
  queue_rtcp(context_, transport, buffer, writer.size());
}

// One packet per kMaxRtcpBytes; reports of a transport go out together, about once a second each.
void Feedback::send_sender_reports(Transport& transport, TimeNs now) {
  std::size_t next = 0;
  while (next < transport.forwards.size()) {
    const MutableBytes buffer = context_.arena.claim();
    Writer writer(buffer.first(kMaxRtcpBytes));
    while (next < transport.forwards.size()) {
      Forward& forward = *transport.forwards[next];
      if (forward.next_report <= now && !append_report(writer, forward, now)) {
        break;
      }
      ++next;
    }
    if (writer.size() == 0) {
      return;
    }
    queue_rtcp(context_, transport, buffer, writer.size());
  }
}

// False only when there was no room left in the packet.
bool Feedback::append_report(Writer& writer, Forward& forward, TimeNs now) {
  if (forward.track == nullptr || forward.packets == 0 || forward.source_track != forward.track ||
      forward.source_encoding < 0) {
    return true;
  }
  const auto source = forward.track->clocks.report(static_cast<std::size_t>(forward.source_encoding));
  if (!source) {
    return true;
  }
  const SenderInfo info = translate_report(*source, forward.munger.timestamp_offset(), forward.clock_hz, forward.ssrc,
                                           forward.packets, forward.bytes, now);
  const std::size_t before = writer.size();
  if (!append_sender_report(writer, info, {}) || !append_sdes_cname(writer, forward.ssrc, kCname)) {
    writer.rewind(before);
    return false;
  }
  forward.reports.sent(info.ntp, now);
  forward.next_report = now + kReportInterval;
  return true;
}

void Feedback::tell_layers(Track& track, TimeNs now) {
  if (now < track.next_layers) {
    return;
  }
  track.next_layers = now + kLayersInterval;
  LayersEvent event{.track = track.id, .layers = {}};
  for (const auto& encoding : track.encodings) {
    if ((track.activity.active() & (1U << encoding->index)) == 0) {
      continue;
    }
    for (std::size_t spatial = 0; spatial < LayerRates::kSpatial; ++spatial) {
      for (std::size_t temporal = 0; temporal < LayerRates::kTemporal; ++temporal) {
        if (encoding->rates.has(spatial, temporal)) {
          event.layers.push_back({.encoding = encoding->index,
                                  .spatial = static_cast<std::uint8_t>(spatial),
                                  .temporal = static_cast<std::uint8_t>(temporal),
                                  .bps = encoding->rates.up_to(spatial, temporal),
                                  .height = encoding->height});
        }
      }
    }
  }
  if (!event.layers.empty()) {
    context_.events.post(std::move(event));
  }
}

void Feedback::post_levels(TimeNs) {
  LevelsEvent event;
  for (const auto& [id, track] : registry_.tracks()) {
    if (const auto level = track->levels.take()) {
      event.levels.push_back({id, level->dbov, level->voice});
    }
  }
  if (!event.levels.empty()) {
    context_.events.post(std::move(event));
  }
}

void Feedback::forget(const Transport& transport) {
  std::erase(reporting_, &transport);
  next_slice_ = 0;
}

void Feedback::forget(const Track& track) {
  std::erase_if(nacking_, [&](const Encoding* encoding) { return &encoding->track == &track; });
}

}  // namespace parley
