// Builds an outgoing RTP packet from a received one: new header, rewritten extensions, patched payload descriptor.
// The hottest function of the core. What does not change is prepared: a HeaderTemplate per forward (own mid, twcc,
// abs_send_time) and an ExtensionPlan per packet and distinct id mapping (elements that pass through).
// Thread: the worker that owns the forward. Source: RFC 3550 section 5, RFC 8285, RFC 4588 section 4.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "bytes.h"
#include "extension_ids.h"
#include "packet.h"

namespace parley {

inline constexpr std::size_t kMaxMidSize = 16;

// The elements that a forward writes itself, in both forms of RFC 8285, ready to copy and patch.
class HeaderTemplate {
 public:
  struct Form {
    static constexpr std::size_t kCapacity = 32;
    std::array<std::uint8_t, kCapacity> bytes{};
    std::uint8_t size = 0;
    std::uint8_t twcc_offset = 0;           // 0: absent
    std::uint8_t abs_send_time_offset = 0;  // 0: absent
  };

  HeaderTemplate() = default;
  // `mid` longer than kMaxMidSize, or empty, is left out.
  HeaderTemplate(const ExtensionIds& send_ids, std::string_view mid);

  [[nodiscard]] const Form& form(bool two_byte) const { return forms_[two_byte ? 1 : 0]; }
  [[nodiscard]] bool has_twcc() const { return forms_[1].twcc_offset != 0; }

 private:
  std::array<Form, 2> forms_;
};

// The pass-through elements of one packet under one mapping: audio_level, video_orientation, dependency_descriptor,
// playout_delay, content_type, video_timing, color_space, abs_capture_time. rid, rrid, toffset and layers_allocation
// are never passed on: they describe the publisher's transport.
class ExtensionPlan {
 public:
  static constexpr std::size_t kCapacity = 320;
  static constexpr std::size_t kBlock = 32;  // what is copied at once; nearly every plan is shorter

  void build(const Packet& packet, const ExtensionIds& send_ids);

  [[nodiscard]] bool is_two_byte() const { return two_byte_; }
  // Where the dependency descriptor's value begins in `elements`; 0: there is none.
  [[nodiscard]] std::size_t descriptor_offset() const { return descriptor_offset_; }
  [[nodiscard]] Bytes elements() const { return Bytes(bytes_).first(size_); }
  // The elements and whatever lies behind them, for copy_block.
  [[nodiscard]] Bytes block() const { return Bytes(bytes_).first(kBlock); }

 private:
  std::array<std::uint8_t, kCapacity> bytes_{};
  std::uint16_t size_ = 0;
  std::uint16_t descriptor_offset_ = 0;
  bool two_byte_ = false;
};

// Plans of the packet at hand, one per distinct mapping; forwards of a room mostly share one.
class ExtensionPlanner {
 public:
  static constexpr std::size_t kPlans = 4;

  // Forgets all plans: a new packet is at hand.
  void start(const Packet& packet) {
    packet_ = &packet;
    count_ = 0;
  }

  // `send_ids` must outlive the use of this packet. With more than kPlans mappings the last slot is rebuilt.
  [[nodiscard]] const ExtensionPlan& plan(const ExtensionIds& send_ids);

 private:
  const Packet* packet_ = nullptr;
  std::size_t count_ = 0;
  std::array<const ExtensionIds*, kPlans> keys_{};
  std::array<ExtensionPlan, kPlans> plans_;
};

// Replaces the first `skip` payload bytes by `bytes[0..size)`.
struct PayloadPatch {
  std::uint16_t skip = 0;
  std::uint8_t size = 0;
  std::array<std::uint8_t, 8> bytes{};
};

struct RtpRewrite {
  std::uint32_t ssrc = 0;
  std::uint32_t timestamp = 0;
  std::uint32_t abs_send_time = 0;  // 24 bits, 6.18 fixed point seconds
  std::int32_t original_seq = -1;   // >= 0: an RTX packet, this sequence number goes before the payload
  std::uint16_t seq = 0;
  std::uint16_t twcc_seq = 0;
  std::uint8_t pt = 0;
  bool marker = false;
  std::int32_t frame_number = -1;  // >= 0: goes into the dependency descriptor
};

// Where a written packet holds what is known only when it leaves; 0: absent.
struct StampOffsets {
  std::uint16_t twcc = 0;
  std::uint16_t abs_send_time = 0;
};
[[nodiscard]] StampOffsets stamp_offsets(const HeaderTemplate& header, const ExtensionPlan& plan);

// Returns the packet's size, or 0 when `out` is too small (and nothing is written). Padding and CSRCs of the source are
// dropped. What `out` holds behind the returned size is undefined.
[[nodiscard]] std::size_t write_rtp(const Packet& source, const HeaderTemplate& header, const ExtensionPlan& plan,
                                    const RtpRewrite& rewrite, const PayloadPatch& patch, MutableBytes out);

// 24 bits of `now` as abs-send-time. Source: webrtc.org abs-send-time (6.18 fixed point).
[[nodiscard]] constexpr std::uint32_t to_abs_send_time(TimeNs now) {
  return static_cast<std::uint32_t>(((static_cast<std::uint64_t>(now) / 1000U << 18U) / 1'000'000U) & 0xFFFFFFU);
}

}  // namespace parley
