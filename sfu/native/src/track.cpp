#include "track.h"

#include "forward.h"

namespace parley {

void Track::note_active(std::uint8_t encoding, TimeNs now) {
  if (activity.receive(encoding, now)) {
    tell_active();
  }
}

void Track::note_silence(TimeNs now) {
  if (activity.tick(now)) {
    tell_active();
  }
}

void Track::tell_active() {
  for (Forward* forward : forwards) {
    forward->layers.set_active(activity.active(), is_simulcast());
  }
}

void Track::restart(Encoding& encoding) {
  encoding.restart();
  voice.heard_until = 0;
  for (Forward* forward : forwards) {
    if (forward->layers.current() == encoding.index) {
      forward->layers.reset_source();
    }
  }
}

}  // namespace parley
