// One track's way from the worker that receives it (home) to another whose subscribers get it (away): packets and
// sender reports in one direction, wishes for keyframes in the other. Both ends hold it; the last one gives back what
// the ring still holds.
// Thread: each ring has one writer and one reader, named below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "packet_pool.h"
#include "rtcp_view.h"
#include "spsc_ring.h"
#include "worker_door.h"

namespace parley {

// A worker's end of a link: whom to wake, and the number by which that worker knows the link.
struct LinkEnd {
  WorkerDoor* door = nullptr;
  std::uint32_t slot = 0;

  void knock() const { door->knock(slot); }
};

class TrackLink {
 public:
  // A keyframe of a large picture arrives within a few milliseconds.
  static constexpr std::size_t kVideoItems = 256;
  static constexpr std::size_t kAudioItems = 32;

  // A packet, or a publisher's report (no packet).
  struct Item {
    PacketPool::Reference packet;
    SenderInfo report;
    TimeNs arrival = 0;  // of the report
    std::uint8_t encoding = 0;
  };

  TrackLink(LinkEnd home_end, LinkEnd away_end, bool is_video)
      : home(home_end), away(away_end), capacity(is_video ? kVideoItems : kAudioItems), items(capacity) {}
  ~TrackLink();
  TrackLink(const TrackLink&) = delete;
  TrackLink& operator=(const TrackLink&) = delete;

  LinkEnd home;
  LinkEnd away;
  std::size_t capacity;
  SpscRing<Item> items;                        // written at home, read away
  SpscRing<std::uint8_t> keyframe_wishes{16};  // encoding index; written away, read at home
  std::shared_ptr<PacketPool> pool;            // home's; keeps what the ring holds alive
  std::size_t untold = 0;                      // home: items since the last flush

  // Away: asks for a keyframe. A full ring holds enough wishes already.
  void wish_keyframe(std::uint8_t encoding);
};

}  // namespace parley
