// What each SSRC of one transport is. Capped: SRTP sessions keep state for every SSRC that ever passed, so an SSRC that
// finds no room is dropped before it is decrypted.
// Thread: the worker that owns the transport.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace parley {

struct Track;

struct SsrcEntry {
  enum class Role : std::uint8_t { kUnknown, kMedia, kRtx };

  std::uint32_t ssrc = 0;
  Role role = Role::kUnknown;
  std::uint8_t encoding = 0;
  Track* track = nullptr;
};

class SsrcTable {
 public:
  static constexpr std::size_t kCapacity = 64;

  // Null when unknown. The last hit is tried first: packets of one source come in runs.
  [[nodiscard]] SsrcEntry* find(std::uint32_t ssrc) {
    if (last_ < size_ && entries_[last_].ssrc == ssrc) {
      return &entries_[last_];
    }
    for (std::size_t index = 0; index < size_; ++index) {
      if (entries_[index].ssrc == ssrc) {
        last_ = index;
        return &entries_[index];
      }
    }
    return nullptr;
  }
  [[nodiscard]] bool is_full() const { return size_ == kCapacity; }
  [[nodiscard]] std::size_t size() const { return size_; }

  // The entry of `ssrc`, made when it is new; null when there is no room.
  SsrcEntry* claim(std::uint32_t ssrc) {
    if (SsrcEntry* known = find(ssrc)) {
      return known;
    }
    if (is_full()) {
      return nullptr;
    }
    entries_[size_] = SsrcEntry{.ssrc = ssrc};
    last_ = size_;
    return &entries_[size_++];
  }

  // Forgets a removed track's entries, so that a long session of shares and camera changes never fills up.
  void forget(const Track* track) {
    std::size_t kept = 0;
    for (std::size_t index = 0; index < size_; ++index) {
      if (entries_[index].track != track) {
        entries_[kept++] = entries_[index];
      }
    }
    size_ = kept;
    last_ = 0;
  }

  // The encoding's SSRC changed: the former one is no longer anything.
  void demote(const Track* track, std::uint8_t encoding, SsrcEntry::Role role) {
    for (std::size_t index = 0; index < size_; ++index) {
      SsrcEntry& entry = entries_[index];
      if (entry.track == track && entry.encoding == encoding && entry.role == role) {
        entry.role = SsrcEntry::Role::kUnknown;
        entry.track = nullptr;
      }
    }
  }

 private:
  std::array<SsrcEntry, kCapacity> entries_{};
  std::size_t size_ = 0;
  std::size_t last_ = 0;
};

}  // namespace parley
