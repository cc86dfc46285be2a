// The codecs that the core knows, by the names of the control interface.
// Thread: any.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace parley {

enum class Codec : std::uint8_t { kUnknown, kOpus, kRed, kVp8, kVp9, kH264, kAv1 };

inline constexpr std::size_t kCodecCount = 7;
inline constexpr std::array<std::string_view, kCodecCount> kCodecNames = {"unknown", "opus", "red", "vp8",
                                                                          "vp9",     "h264", "av1"};

[[nodiscard]] constexpr std::string_view codec_name(Codec codec) {
  return kCodecNames[static_cast<std::size_t>(codec)];
}

// kUnknown for any other name.
[[nodiscard]] constexpr Codec codec_from_name(std::string_view name) {
  for (std::size_t i = 1; i < kCodecCount; ++i) {
    if (kCodecNames[i] == name) {
      return static_cast<Codec>(i);
    }
  }
  return Codec::kUnknown;
}

[[nodiscard]] constexpr bool is_video(Codec codec) {
  return codec == Codec::kVp8 || codec == Codec::kVp9 || codec == Codec::kH264 || codec == Codec::kAv1;
}

}  // namespace parley
