#include "bwe/inter_arrival.h"

#include <algorithm>

namespace parley {

bool InterArrival::belongs(TimeNs sent, TimeNs arrived) const {
  if (sent - current_.first_sent <= kBurst) {
    return true;
  }
  // Packets that queued together and came together say nothing about each other.
  const TimeNs apart = arrived - current_.last_arrived;
  const TimeNs queued = apart - (sent - current_.last_sent);
  return queued < 0 && apart <= kBurst && arrived - current_.first_arrived < kMaxBurst;
}

std::optional<GroupDelta> InterArrival::receive(TimeNs sent, TimeNs arrived) {
  const bool has_jumped =
      current_.is_used && (arrived - current_.last_arrived > kMaxGap || current_.last_arrived - arrived > kMaxGap);
  if (!current_.is_used || has_jumped) {
    previous_ = Group{};
    current_ = Group{sent, sent, arrived, arrived, true};
    return std::nullopt;
  }
  if (sent < current_.first_sent) {
    return std::nullopt;  // of an earlier group
  }
  if (belongs(sent, arrived)) {
    current_.last_sent = std::max(current_.last_sent, sent);
    current_.last_arrived = std::max(current_.last_arrived, arrived);
    return std::nullopt;
  }
  std::optional<GroupDelta> delta;
  if (previous_.is_used) {
    delta = GroupDelta{.send = current_.last_sent - previous_.last_sent,
                       .arrival = current_.last_arrived - previous_.last_arrived,
                       .arrived = current_.last_arrived};
  }
  previous_ = current_;
  current_ = Group{sent, sent, arrived, arrived, true};
  return delta;
}

}  // namespace parley
