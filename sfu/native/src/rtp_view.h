// An RTP packet seen through bounds-checked offsets, and its header extensions found once per packet.
// Thread: any, one object at a time. Source: RFC 3550 section 5, RFC 8285 section 4.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "bytes.h"
#include "extension_ids.h"

namespace parley {

struct RtpView {
  Bytes packet;  // the whole packet, header included
  std::uint32_t timestamp = 0;
  std::uint32_t ssrc = 0;
  std::uint16_t seq = 0;
  std::uint8_t pt = 0;
  std::uint8_t csrc_count = 0;
  bool marker = false;
  std::uint8_t padding_size = 0;
  std::uint16_t extension_profile = 0;  // 0xBEDE one-byte, 0x100x two-byte; 0 with size 0: no extension
  std::uint16_t extension_offset = 0;   // of the first element, behind profile and length
  std::uint16_t extension_size = 0;
  std::uint16_t payload_offset = 0;
  std::uint16_t payload_size = 0;  // without padding; 0 = padding only

  [[nodiscard]] Bytes payload() const { return packet.subspan(payload_offset, payload_size); }
  [[nodiscard]] Bytes extension_block() const { return packet.subspan(extension_offset, extension_size); }
  [[nodiscard]] bool is_two_byte_form() const { return (extension_profile & 0xFFF0U) == kTwoByteProfile; }
};

// Nothing when: shorter than its header, version not 2, CSRCs or extension overrun, padding 0 or more than what follows
// the header, longer than 65535 bytes.
[[nodiscard]] std::optional<RtpView> parse_rtp(Bytes packet);

// Where the negotiated extensions lie in one packet. Unknown ids are not in it.
class ExtensionTable {
 public:
  [[nodiscard]] bool has(Extension extension) const { return (present_ >> static_cast<unsigned>(extension)) & 1U; }
  // The element's bytes; empty when absent (an element of length 0 is also empty, but `has`).
  [[nodiscard]] Bytes get(const RtpView& rtp, Extension extension) const {
    const auto i = static_cast<std::size_t>(extension);
    return has(extension) ? rtp.packet.subspan(offset_[i], size_[i]) : Bytes{};
  }
  [[nodiscard]] std::uint32_t present() const { return present_; }

  // `offset` from the packet's start. The first element of a name wins.
  void add(std::size_t extension_index, std::size_t offset, std::size_t size) {
    const auto bit = 1U << extension_index;
    if ((present_ & bit) == 0) {
      present_ |= bit;
      offset_[extension_index] = static_cast<std::uint16_t>(offset);
      size_[extension_index] = static_cast<std::uint8_t>(size);
    }
  }

 private:
  std::uint32_t present_ = 0;
  std::array<std::uint16_t, kExtensionCount> offset_{};
  std::array<std::uint8_t, kExtensionCount> size_{};
};

// One pass over the extension block. An element that overruns ends the walk; what came before it stays.
[[nodiscard]] ExtensionTable read_extensions(const RtpView& rtp, const ExtensionIds& ids);

// One extension by its id, for tests and rare uses.
[[nodiscard]] std::optional<Bytes> find_extension(const RtpView& rtp, std::uint8_t id);

// The values of extensions that the core itself reads; nothing when absent or of a wrong size.
struct AudioLevel {
  std::uint8_t dbov = 127;  // 0 loudest .. 127 silence, negated (RFC 6464 section 3)
  bool voice = false;
};
[[nodiscard]] std::optional<AudioLevel> read_audio_level(const RtpView& rtp, const ExtensionTable& table);
[[nodiscard]] std::optional<std::uint16_t> read_twcc_seq(const RtpView& rtp, const ExtensionTable& table);

}  // namespace parley
