#include "track_link.h"

namespace parley {

TrackLink::~TrackLink() {
  while (const Item* item = items.front()) {
    if (item->packet.packet != nullptr) {
      item->packet.release();
    }
    items.release();
  }
}

void TrackLink::wish_keyframe(std::uint8_t encoding) {
  if (std::uint8_t* slot = keyframe_wishes.claim()) {
    *slot = encoding;
    keyframe_wishes.publish();
    home.knock();
  }
}

}  // namespace parley
