#include "rtp_view.h"

#include "demux.h"

namespace parley {

namespace {

struct Element {
  std::uint8_t id = 0;
  std::size_t offset = 0;  // inside the block
  std::size_t size = 0;
};

// Walks the elements of an extension block; each step consumes at least one byte.
class ElementWalk {
 public:
  ElementWalk(Bytes block, std::uint16_t profile)
      : block_(block), is_one_byte_(profile == kOneByteProfile), is_two_byte_((profile & 0xFFF0U) == kTwoByteProfile) {}

  bool next(Element& element) {
    if (is_one_byte_) {
      return next_one_byte(element);
    }
    return is_two_byte_ && next_two_byte(element);
  }

 private:
  // Source: RFC 8285 section 4.2.
  bool next_one_byte(Element& element) {
    while (offset_ < block_.size()) {
      const std::uint8_t head = block_[offset_++];
      if (head == 0) {
        continue;  // padding between elements
      }
      element.id = static_cast<std::uint8_t>(head >> 4);
      element.size = (head & 0x0FU) + 1U;
      element.offset = offset_;
      // Id 15 ends the block; id 0 with a length is malformed and ends it as well.
      if (element.id == 15 || element.id == 0 || element.size > block_.size() - offset_) {
        offset_ = block_.size();
        return false;
      }
      offset_ += element.size;
      return true;
    }
    return false;
  }

  // Source: RFC 8285 section 4.3.
  bool next_two_byte(Element& element) {
    while (offset_ < block_.size()) {
      element.id = block_[offset_++];
      if (element.id == 0) {
        continue;
      }
      if (offset_ == block_.size()) {
        return false;
      }
      element.size = block_[offset_++];
      element.offset = offset_;
      if (element.size > block_.size() - offset_) {
        offset_ = block_.size();
        return false;
      }
      offset_ += element.size;
      return true;
    }
    return false;
  }

  Bytes block_;
  std::size_t offset_ = 0;
  bool is_one_byte_;
  bool is_two_byte_;
};

}  // namespace

std::optional<RtpView> parse_rtp(Bytes packet) {
  if (packet.size() < kRtpHeaderSize || packet.size() > 0xFFFF || (packet[0] >> 6) != 2) {
    return std::nullopt;
  }
  const std::uint8_t first = packet[0];
  RtpView rtp;
  rtp.packet = packet;
  rtp.csrc_count = first & 0x0FU;
  rtp.marker = (packet[1] & 0x80U) != 0;
  rtp.pt = packet[1] & 0x7FU;
  rtp.seq = load_u16(packet, 2);
  rtp.timestamp = load_u32(packet, 4);
  rtp.ssrc = load_u32(packet, 8);

  std::size_t offset = kRtpHeaderSize + rtp.csrc_count * 4U;
  if ((first & 0x10U) != 0) {
    if (offset + 4 > packet.size()) {
      return std::nullopt;
    }
    rtp.extension_profile = load_u16(packet, offset);
    const std::size_t size = load_u16(packet, offset + 2) * 4U;
    offset += 4;
    if (size > packet.size() - offset) {
      return std::nullopt;
    }
    rtp.extension_offset = static_cast<std::uint16_t>(offset);
    rtp.extension_size = static_cast<std::uint16_t>(size);
    offset += size;
  }
  if (offset > packet.size()) {
    return std::nullopt;
  }
  std::size_t payload_size = packet.size() - offset;
  if ((first & 0x20U) != 0) {
    // 0 < padding <= what follows the header (RFC 3550 section 5.1: the count includes itself).
    if (payload_size == 0) {
      return std::nullopt;
    }
    rtp.padding_size = packet[packet.size() - 1];
    if (rtp.padding_size == 0 || rtp.padding_size > payload_size) {
      return std::nullopt;
    }
    payload_size -= rtp.padding_size;
  }
  rtp.payload_offset = static_cast<std::uint16_t>(offset);
  rtp.payload_size = static_cast<std::uint16_t>(payload_size);
  return rtp;
}

ExtensionTable read_extensions(const RtpView& rtp, const ExtensionIds& ids) {
  ExtensionTable table;
  if (rtp.extension_size == 0) {
    return table;
  }
  ElementWalk walk(rtp.extension_block(), rtp.extension_profile);
  for (Element element; walk.next(element);) {
    const std::size_t index = ids.index_of(element.id);
    if (index < kExtensionCount) {
      table.add(index, rtp.extension_offset + element.offset, element.size);
    }
  }
  return table;
}

std::optional<Bytes> find_extension(const RtpView& rtp, std::uint8_t id) {
  if (rtp.extension_size == 0) {
    return std::nullopt;
  }
  const Bytes block = rtp.extension_block();
  ElementWalk walk(block, rtp.extension_profile);
  for (Element element; walk.next(element);) {
    if (element.id == id) {
      return block.subspan(element.offset, element.size);
    }
  }
  return std::nullopt;
}

std::optional<AudioLevel> read_audio_level(const RtpView& rtp, const ExtensionTable& table) {
  const Bytes value = table.get(rtp, Extension::kAudioLevel);
  // One byte; the two-byte form may be padded (RFC 6464 section 3).
  if (value.empty()) {
    return std::nullopt;
  }
  return AudioLevel{.dbov = static_cast<std::uint8_t>(value[0] & 0x7FU), .voice = (value[0] & 0x80U) != 0};
}

std::optional<std::uint16_t> read_twcc_seq(const RtpView& rtp, const ExtensionTable& table) {
  const Bytes value = table.get(rtp, Extension::kTwcc);
  if (value.size() < 2) {
    return std::nullopt;
  }
  return load_u16(value, 0);
}

}  // namespace parley
