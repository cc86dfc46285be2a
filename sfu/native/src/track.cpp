#include "track.h"

#include <algorithm>
#include <span>

#include "forward.h"

namespace parley {

void Track::receive(Encoding& encoding, const Packet& packet, TimeNs now) {
  bool has_news = activity.receive(encoding.index, now);
  if (is_video) {
    if (packet.payload.keyframe_start && packet.ext_seq > encoding.keyframe.value_or(packet.ext_seq - 1)) {
      encoding.keyframe = packet.ext_seq;
    }
    encoding.rates.receive(packet.payload.spatial, packet.payload.temporal, packet.rtp.packet.size());
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
  if (is_video) {
    for (const auto& encoding : encodings) {
      has_rates = encoding->rates.tick(now) || has_rates;
    }
  }
  const bool has_order = has_rates && measure();
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
