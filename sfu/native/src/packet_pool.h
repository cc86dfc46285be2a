// Packets of one track on their way to other workers: stored once, counted by the rings that hold them.
// Thread: claim from the worker that owns the track; release from any.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "packet.h"

namespace parley {

struct SharedPacket {
  Packet packet;
  std::uint32_t generation = 0;  // of its encoding: another one means that the numbering began anew
  bool codec_changed = false;
  std::array<std::uint8_t, kMaxPacketSize> bytes;

  void copy(const Packet& from) {
    copy_to(bytes, 0, from.rtp.packet);
    packet = from;
    packet.rtp.packet = Bytes(bytes).first(from.rtp.packet.size());
  }
};

class PacketPool {
 public:
  static constexpr std::size_t kBlock = 32;

  // A packet and the count of those who hold it.
  struct Reference {
    SharedPacket* packet = nullptr;
    std::atomic<std::uint32_t>* holders = nullptr;

    void release() const { holders->fetch_sub(1, std::memory_order_release); }
  };

  // Room for as many packets as the rings hold together; memory comes in blocks as it is needed.
  void set_limit(std::size_t packets) { limit_ = (packets + kBlock - 1) / kBlock; }

  // A packet that nobody holds; null inside when the limit is in use. The caller sets the count before it shares it.
  Reference claim();

  [[nodiscard]] std::size_t capacity() const { return blocks_.size() * kBlock; }

 private:
  // Counts lie together: a search touches few cache lines.
  struct Block {
    std::array<std::atomic<std::uint32_t>, kBlock> holders{};
    std::array<SharedPacket, kBlock> packets;
  };

  std::vector<std::unique_ptr<Block>> blocks_;
  std::size_t next_ = 0;
  std::size_t limit_ = 0;  // blocks
};

}  // namespace parley
