#include "h264_sps.h"

#include <algorithm>
#include <array>

namespace parley {

namespace {

constexpr std::size_t kMaxBytes = 512;
constexpr std::uint32_t kMaxHeight = 16384;
constexpr std::uint32_t kMaxCycle = 255;
constexpr std::array<std::uint8_t, 13> kHighProfiles{100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};

// Without the emulation prevention bytes (section 7.4.1).
Bytes unescape(Bytes unit, MutableBytes out) {
  std::size_t size = 0;
  std::size_t zeros = 0;
  for (const std::uint8_t byte : unit.first(std::min(unit.size(), out.size()))) {
    if (zeros >= 2 && byte == 3) {
      zeros = 0;
      continue;
    }
    zeros = byte == 0 ? zeros + 1 : 0;
    out[size++] = byte;
  }
  return out.first(size);
}

void skip_scaling_matrix(BitReader& bits, std::size_t lists) {
  for (std::size_t list = 0; list < lists; ++list) {
    if (!bits.flag()) {
      continue;
    }
    std::int32_t last = 8;
    std::int32_t next = 8;
    for (std::size_t i = 0; i < (list < 6 ? 16U : 64U) && bits.ok(); ++i) {
      if (next != 0) {
        next = (last + bits.se() % 256 + 256) % 256;
      }
      last = next == 0 ? last : next;
    }
  }
}

// Rows of chroma samples to one of luma; everything up to the order count.
std::uint32_t read_chroma(BitReader& bits, std::uint32_t profile) {
  if (std::ranges::find(kHighProfiles, profile) == kHighProfiles.end()) {
    return 2;
  }
  const std::uint32_t chroma = bits.ue();
  const bool has_separate_planes = chroma == 3 && bits.flag();
  bits.ue();
  bits.ue();
  bits.flag();
  if (bits.flag()) {
    skip_scaling_matrix(bits, chroma == 3 ? 12 : 8);
  }
  return chroma == 1 && !has_separate_planes ? 2 : 1;
}

void skip_order_count(BitReader& bits) {
  const std::uint32_t type = bits.ue();
  if (type == 0) {
    bits.ue();
  } else if (type == 1) {
    bits.flag();
    bits.se();
    bits.se();
    const std::uint32_t cycle = std::min(bits.ue(), kMaxCycle);
    for (std::uint32_t i = 0; i < cycle && bits.ok(); ++i) {
      bits.se();
    }
  }
}

}  // namespace

std::uint16_t sps_height(Bytes unit) {
  std::array<std::uint8_t, kMaxBytes> plain{};
  BitReader bits(unescape(unit, plain));
  bits.bits(8);
  const std::uint32_t profile = bits.bits(8);
  bits.bits(16);
  bits.ue();
  const std::uint32_t chroma_rows = read_chroma(bits, profile);
  bits.ue();
  skip_order_count(bits);
  bits.ue();
  bits.flag();
  bits.ue();  // width
  const std::uint64_t units = std::uint64_t{bits.ue()} + 1;
  const bool is_frame_only = bits.flag();
  if (!is_frame_only) {
    bits.flag();
  }
  const std::uint64_t fields = is_frame_only ? 1 : 2;
  const std::uint64_t coded = units * 16 * fields;
  bits.flag();
  std::uint64_t cropped = 0;
  if (bits.flag()) {
    bits.ue();
    bits.ue();
    const std::uint64_t top = bits.ue();
    cropped = (top + bits.ue()) * chroma_rows * fields;
  }
  const bool is_sane = bits.ok() && coded > cropped && coded - cropped <= kMaxHeight;
  return is_sane ? static_cast<std::uint16_t>(coded - cropped) : std::uint16_t{0};
}

}  // namespace parley
