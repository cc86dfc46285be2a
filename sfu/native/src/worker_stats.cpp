// The worker's figures, copied for Python.
#include "worker.h"

#include "client_mode.h"

namespace parley {

namespace {

std::int64_t whole(std::uint64_t value) { return static_cast<std::int64_t>(value); }

StatsMap transport_stats(const Transport& transport) {
  StatsMap map{{"transport", transport.id},
               {"packets_received", whole(transport.packets_received)},
               {"bytes_received", whole(transport.bytes_received)},
               {"packets_sent", whole(transport.packets_sent)},
               {"bytes_sent", whole(transport.bytes_sent)},
               {"rtcp_received", whole(transport.rtcp_received)},
               {"rejected", whole(transport.rejected)},
               {"ssrcs", whole(transport.ssrcs.size())},
               {"rtt_us", transport.rtt / kMicrosecond},
               {"proven", transport.is_proven ? 1 : 0},
               {"idle", transport.is_idle ? 1 : 0}};
  if (const Downlink* downlink = transport.downlink.get(); downlink != nullptr && downlink->estimator.has_feedback()) {
    map.emplace_back("estimate_bps", static_cast<std::int64_t>(downlink->estimator.bps()));
    map.emplace_back("acked_bps", static_cast<std::int64_t>(downlink->estimator.acked_bps().value_or(0)));
    map.emplace_back("loss_permille", static_cast<std::int64_t>(downlink->estimator.loss() * 1000));
    map.emplace_back("feedback_rtt_us", downlink->estimator.rtt() / kMicrosecond);
    map.emplace_back("path_use", static_cast<std::int64_t>(downlink->estimator.use()));
    map.emplace_back("paced_bytes", downlink->pacer.queued_bytes());
    map.emplace_back("probing", downlink->probe.cluster);
  }
  if (transport.client != nullptr) {
    map.emplace_back("client_received", whole(transport.client->received()));
    map.emplace_back("client_checked", whole(transport.client->checked()));
    map.emplace_back("client_lost", transport.client->lost());
    map.emplace_back("client_first_ns", transport.client->first_packet());
    map.emplace_back("client_repaired", whole(transport.client->repaired()));
    map.emplace_back("client_asked_keyframes", whole(transport.client->asked_keyframes()));
  }
  return map;
}

StatsMap track_stats(const Track& track) {
  StatsMap map{{"track", track.id}, {"transport", track.publisher->id}, {"enabled", track.enabled ? 1 : 0}};
  std::int64_t packets = 0;
  std::int64_t bytes = 0;
  std::int64_t lost = 0;
  std::int64_t recovered = 0;
  std::int64_t keyframes = 0;
  std::int64_t jitter = 0;
  for (const auto& encoding : track.encodings) {
    packets += whole(encoding->stats.packets());
    bytes += whole(encoding->stats.bytes());
    lost += encoding->stats.lost();
    recovered += whole(encoding->recovered);
    keyframes += whole(encoding->keyframes_received);
    jitter = std::max<std::int64_t>(jitter, encoding->stats.jitter());
  }
  map.emplace_back("packets", packets);
  map.emplace_back("bytes", bytes);
  map.emplace_back("lost", lost);
  map.emplace_back("recovered", recovered);
  map.emplace_back("keyframes", keyframes);
  map.emplace_back("jitter", jitter);
  map.emplace_back("active_encodings", track.activity.active());
  return map;
}

StatsMap forward_stats(const Forward& forward) {
  return {{"forward", forward.id},
          {"track", forward.track == nullptr ? 0 : forward.track->id},
          {"transport", forward.transport.id},
          {"packets", forward.packets},
          {"bytes", forward.bytes},
          {"resent", whole(forward.resent)},
          {"nacked", whole(forward.nacked)},
          {"keyframe_requests", whole(forward.keyframe_requests)},
          {"dropped_by_gate", whole(forward.dropped_by_gate)},
          {"encoding", forward.layers.current()},
          {"paused", forward.layers.is_paused() ? 1 : 0},
          {"fraction_lost", forward.fraction_lost},
          {"lost", forward.lost}};
}

StatsMap tap_stats(const Tap& tap) {
  return {{"tap", tap.id},
          {"track", tap.track->id},
          {"sink", tap.sink->id},
          {"packets", whole(tap.packets)},
          {"bytes", whole(tap.bytes)},
          {"lost", whole(tap.lost)},
          {"dropped_by_gate", whole(tap.dropped_by_gate)}};
}

}  // namespace

StatsEvent Worker::collect_stats(std::uint64_t ack) {
  StatsEvent event;
  event.ack = ack;
  for (std::size_t index = 0; index < kCounters; ++index) {
    event.worker.emplace_back(kCounterNames[index], whole(context_.counters.values()[index]));
  }
  LatencyHistogram latency;  // of all client transports, since the last look
  LatencyHistogram frames;
  for (const auto& [id, transport] : registry_.transports()) {
    event.transports.push_back(transport_stats(*transport));
    if (transport->client != nullptr) {
      latency.add(transport->client->latency());
      transport->client->latency().reset();
      frames.add(transport->client->frames());
      transport->client->frames().reset();
    }
  }
  if (latency.count() != 0) {
    event.worker.emplace_back("client_latency_p50_us", latency.quantile(0.5) / kMicrosecond);
    event.worker.emplace_back("client_latency_p99_us", latency.quantile(0.99) / kMicrosecond);
    event.worker.emplace_back("client_latency_count", whole(latency.count()));
    event.worker.emplace_back("client_frame_p50_us", frames.quantile(0.5) / kMicrosecond);
    event.worker.emplace_back("client_frame_p99_us", frames.quantile(0.99) / kMicrosecond);
  }
  for (const auto& [id, track] : registry_.tracks()) {
    if (track->publisher != nullptr) {  // else its own worker counts it
      event.tracks.push_back(track_stats(*track));
    }
  }
  for (const Generator* generator : generators_.list()) {
    event.tracks.push_back(generator->stats());
  }
  for (const auto& [id, forward] : registry_.forwards()) {
    event.forwards.push_back(forward_stats(*forward));
  }
  for (const auto& [id, tap] : registry_.taps()) {
    event.taps.push_back(tap_stats(*tap));
  }
  return event;
}

}  // namespace parley
