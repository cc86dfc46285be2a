#include "packet_store.h"

#include <bit>

namespace parley {

PacketStore::PacketStore(const StoreConfig& config) : config_(config) {
  config_.first_slots = std::bit_ceil(std::max<std::uint16_t>(config.first_slots, 1));
  config_.max_slots = std::max(config_.first_slots, std::bit_floor(config.max_slots));
}

PutResult PacketStore::put(const Packet& packet) {
  if (packet.rtp.packet.size() > kMaxPacketSize) {
    return PutResult::kTooLarge;
  }
  if (slots_.empty()) {
    grow();
  }
  if (started_ && packet.ext_seq <= highest_ - static_cast<std::int64_t>(slots_.size())) {
    return PutResult::kTooOld;
  }
  Slot* slot = &slot_of(packet.ext_seq);
  if (slot->used && slot->packet.ext_seq == packet.ext_seq) {
    return PutResult::kDuplicate;
  }
  if (slot->used && slot->packet.ext_seq > packet.ext_seq) {
    return PutResult::kTooOld;
  }
  // Overwriting a packet that is still young: the ring is too short for this rate.
  if (slot->used && packet.arrival - slot->packet.arrival < config_.max_age && slots_.size() < config_.max_slots &&
      packet.ext_seq - slot->packet.ext_seq < static_cast<std::int64_t>(config_.max_slots)) {
    grow();
    slot = &slot_of(packet.ext_seq);
  }
  copy_to(slot->bytes, 0, packet.rtp.packet);
  slot->packet = packet;
  slot->packet.rtp.packet = Bytes(slot->bytes).first(packet.rtp.packet.size());
  slot->used = true;
  if (!started_ || packet.ext_seq > highest_) {
    highest_ = packet.ext_seq;
    started_ = true;
  }
  return PutResult::kStored;
}

const Packet* PacketStore::get(std::int64_t ext_seq, TimeNs now) const {
  if (slots_.empty()) {
    return nullptr;
  }
  const Slot& slot = slot_of(ext_seq);
  const bool is_there = slot.used && slot.packet.ext_seq == ext_seq && now - slot.packet.arrival <= config_.max_age;
  return is_there ? &slot.packet : nullptr;
}

const Packet* PacketStore::get_by_low32(std::uint32_t ext_seq_low, TimeNs now) const {
  const auto ahead = static_cast<std::int32_t>(ext_seq_low - static_cast<std::uint32_t>(highest_));
  return get(highest_ + ahead, now);
}

void PacketStore::clear() {
  for (Slot* slot : slots_) {
    slot->used = false;
  }
  started_ = false;
}

void PacketStore::grow() {
  const std::size_t before = slots_.size();
  const std::size_t after = before == 0 ? config_.first_slots : before * 2;
  blocks_.push_back(std::make_unique_for_overwrite<Slot[]>(after - before));
  std::vector<Slot*> spare;
  spare.reserve(after);
  for (std::size_t i = 0; i < after - before; ++i) {
    spare.push_back(&blocks_.back()[i]);
  }
  // Positions that were distinct modulo `before` stay distinct modulo its double.
  std::vector<Slot*> placed(after, nullptr);
  for (Slot* slot : slots_) {
    if (slot->used) {
      placed[static_cast<std::size_t>(slot->packet.ext_seq) & (after - 1)] = slot;
    } else {
      spare.push_back(slot);
    }
  }
  for (Slot*& place : placed) {
    if (place == nullptr) {
      place = spare.back();
      spare.pop_back();
    }
  }
  slots_ = std::move(placed);
}

}  // namespace parley
