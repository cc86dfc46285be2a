// The last second of one encoding's packets, stored once for all forwards; answers retransmissions.
// Slots are fixed at 1500 bytes and come in blocks: the ring starts small and doubles when it would hold less than the
// wanted age, up to its cap. Putting a packet copies, and allocates only at such a doubling.
// Thread: the worker that owns the track.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "packet.h"
#include "units.h"

namespace parley {

struct StoreConfig {
  std::uint16_t first_slots = 64;  // power of two
  std::uint16_t max_slots = 1024;  // power of two
  TimeNs max_age = 1 * kSecond;
};

enum class PutResult : std::uint8_t { kStored, kDuplicate, kTooOld, kTooLarge };

class PacketStore {
 public:
  explicit PacketStore(const StoreConfig& config = {});

  // Copies the packet. kDuplicate: the same ext_seq is there. kTooOld: the ring has moved past it. kTooLarge: over
  // kMaxPacketSize.
  PutResult put(const Packet& packet);

  // The packet, valid until the next `put`; null when it is not there or older than max_age.
  [[nodiscard]] const Packet* get(std::int64_t ext_seq, TimeNs now) const;
  // The same by the lower 32 bits of the extended sequence number, which is what a ForwardSequencer keeps.
  [[nodiscard]] const Packet* get_by_low32(std::uint32_t ext_seq_low, TimeNs now) const;

  [[nodiscard]] std::int64_t highest() const { return highest_; }  // of what was put since the start
  [[nodiscard]] bool is_empty() const { return !started_; }
  [[nodiscard]] std::size_t capacity() const { return slots_.size(); }
  void clear();

 private:
  struct Slot {
    Packet packet;
    bool used = false;
    std::array<std::uint8_t, kMaxPacketSize> bytes;
  };
  void grow();
  [[nodiscard]] Slot& slot_of(std::int64_t ext_seq) const {
    return *slots_[static_cast<std::size_t>(ext_seq) & (slots_.size() - 1)];
  }

  StoreConfig config_;
  std::vector<std::unique_ptr<Slot[]>> blocks_;
  std::vector<Slot*> slots_;
  std::int64_t highest_ = 0;
  bool started_ = false;
};

}  // namespace parley
