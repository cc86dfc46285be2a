#include "track.h"

#include <algorithm>
#include <span>

#include "forward.h"

namespace parley {

void Track::receive(Encoding& encoding, const Packet& packet, TimeNs now) {
  bool has_news = activity.receive(encoding.index, now);
  const std::size_t size = packet.rtp.packet.size();
  if (!is_video) {
    // The copies of RED count as a layer of their own: who has no RED goes without.
    const std::size_t copies = packet.has_copies() ? packet.payload.primary_offset : 0;
    encoding.rates.receive(0, 0, size - copies);
    encoding.rates.receive(0, 1, copies);
  }
  if (is_video) {
    if (packet.payload.keyframe_start && packet.ext_seq > encoding.keyframe.value_or(packet.ext_seq - 1)) {
      encoding.keyframe = packet.ext_seq;
    }
    encoding.rates.receive(packet.payload.spatial, packet.payload.temporal, size);
    const std::uint16_t height = packet.payload.height;
    if (height != 0 && height != encoding.height) {
      encoding.height = height;
      has_news = measure() || has_news;
    }
  }
  if (has_news) {
    tell_active();
  }
}

bool Track::tick(TimeNs now) {
  bool has_rates = false;
  for (const auto& encoding : encodings) {
    has_rates = encoding->rates.tick(now) || has_rates;
  }
  const bool has_order = is_video && has_rates && measure();
  if (activity.tick(now) || has_order) {
    tell_active();
  }
  return has_rates;
}

// True when the order of the encodings changed.
bool Track::measure() {
  std::array<EncodingOrder::Measured, kMaxEncodings> measured;
  const std::size_t count = std::min(encodings.size(), measured.size());
  for (std::size_t index = 0; index < count; ++index) {
    const Encoding& encoding = *encodings[index];
    measured[index] = {.height = encoding.height, .bps = encoding.rates.total()};
  }
  return order.measure(std::span(measured).first(count));
}

void Track::tell_active() {
  for (Forward* forward : forwards) {
    tell_active(*forward);
  }
}

void Track::tell_active(Forward& forward) const { forward.layers.set_active(activity.active(), is_simulcast(), order); }

void Track::restart(Encoding& encoding) {
  encoding.restart();
  clocks.forget(encoding.index);
  voice.heard_until = 0;
  for (Forward* forward : forwards) {
    if (forward->layers.current() == encoding.index) {
      forward->layers.reset_source();
    }
  }
}

}  // namespace parley
