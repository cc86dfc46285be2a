// Header extensions by name, and the ids that one transport negotiated for them.
// Thread: any, one object at a time. Source: RFC 8285.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace parley {

// The profile field in front of a packet's extensions, RFC 8285 sections 4.2 and 4.3; of two-byte ones its low four
// bits are the application's.
inline constexpr std::uint16_t kOneByteProfile = 0xBEDE;
inline constexpr std::uint16_t kTwoByteProfile = 0x1000;

enum class Extension : std::uint8_t {
  kMid,
  kRid,
  kRrid,
  kTwcc,
  kAbsSendTime,
  kToffset,
  kAudioLevel,
  kVideoOrientation,
  kDependencyDescriptor,
  kPlayoutDelay,
  kContentType,
  kVideoTiming,
  kColorSpace,
  kAbsCaptureTime,
  kLayersAllocation,
};

inline constexpr std::size_t kExtensionCount = 15;

// The control interface's names, in the enum's order.
inline constexpr std::array<std::string_view, kExtensionCount> kExtensionNames = {"mid",
                                                                                  "rid",
                                                                                  "rrid",
                                                                                  "twcc",
                                                                                  "abs_send_time",
                                                                                  "toffset",
                                                                                  "audio_level",
                                                                                  "video_orientation",
                                                                                  "dependency_descriptor",
                                                                                  "playout_delay",
                                                                                  "content_type",
                                                                                  "video_timing",
                                                                                  "color_space",
                                                                                  "abs_capture_time",
                                                                                  "layers_allocation"};

[[nodiscard]] constexpr std::optional<Extension> extension_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kExtensionCount; ++i) {
    if (kExtensionNames[i] == name) {
      return static_cast<Extension>(i);
    }
  }
  return std::nullopt;
}

// A bijection between names and ids 1..255 (15 is reserved by the one-byte form and refused).
class ExtensionIds {
 public:
  // False, and nothing changes, when the id is 0 or 15 or already names another extension.
  bool set(Extension extension, std::uint8_t id) {
    if (id == 0 || id == 15 || (by_id_[id] != kNone && by_id_[id] != index(extension))) {
      return false;
    }
    if (ids_[index(extension)] != 0) {
      by_id_[ids_[index(extension)]] = kNone;
    }
    ids_[index(extension)] = id;
    by_id_[id] = static_cast<std::uint8_t>(index(extension));
    needs_two_byte_ = std::ranges::any_of(ids_, [](std::uint8_t used) { return used > 14; });
    return true;
  }

  // 0 when it was not negotiated.
  [[nodiscard]] std::uint8_t id(Extension extension) const { return ids_[index(extension)]; }
  [[nodiscard]] bool has(Extension extension) const { return id(extension) != 0; }

  // kExtensionCount when nothing has this id.
  [[nodiscard]] std::size_t index_of(std::uint8_t id) const { return by_id_[id]; }

  // Some id needs the two-byte form (RFC 8285 section 4.3).
  [[nodiscard]] bool needs_two_byte_form() const { return needs_two_byte_; }

  // Same ids for the same names: their packets may share one ExtensionPlan.
  friend bool operator==(const ExtensionIds& a, const ExtensionIds& b) { return a.ids_ == b.ids_; }

 private:
  static constexpr std::uint8_t kNone = kExtensionCount;
  static constexpr std::size_t index(Extension extension) { return static_cast<std::size_t>(extension); }
  static constexpr std::array<std::uint8_t, 256> unused() {
    std::array<std::uint8_t, 256> table{};
    table.fill(kNone);
    return table;
  }

  std::array<std::uint8_t, kExtensionCount + 1> ids_{};  // one spare byte: sixteen compare as two words
  std::array<std::uint8_t, 256> by_id_ = unused();
  bool needs_two_byte_ = false;
};

}  // namespace parley
