// Groups packets that left (or came) in a burst, and compares how far two groups lie apart at the sender and at the
// receiver: the difference is the change of queueing delay.
// Thread: the worker that owns the transport. Source: draft-ietf-rmcat-gcc-02 sections 5.2 and 5.3.
#pragma once

#include <cstdint>
#include <optional>

#include "units.h"

namespace parley {

struct GroupDelta {
  TimeNs send = 0;  // between the last packets of two neighbouring groups
  TimeNs arrival = 0;
  TimeNs arrived = 0;  // of the later group's last packet, the receiver's clock
};

class InterArrival {
 public:
  static constexpr TimeNs kBurst = 5 * kMillisecond;
  static constexpr TimeNs kMaxBurst = 100 * kMillisecond;
  // The receiver's clock jumped, or nothing came for so long that the path may be another.
  static constexpr TimeNs kMaxGap = 3 * kSecond;

  // The next received packet in order of sending. A delta whenever a group is complete and has a predecessor.
  std::optional<GroupDelta> receive(TimeNs sent, TimeNs arrived);

 private:
  struct Group {
    TimeNs first_sent = 0;
    TimeNs last_sent = 0;
    TimeNs first_arrived = 0;
    TimeNs last_arrived = 0;
    bool is_used = false;
  };

  [[nodiscard]] bool belongs(TimeNs sent, TimeNs arrived) const;

  Group current_;
  Group previous_;
};

}  // namespace parley
