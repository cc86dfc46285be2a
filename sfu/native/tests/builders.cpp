#include "builders.h"

namespace parley::test {

Data hex(std::string_view text) {
  Data data;
  int high = -1;
  for (const char c : text) {
    int digit = -1;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      digit = c - 'a' + 10;
    }
    if (digit < 0) {
      continue;
    }
    if (high < 0) {
      high = digit;
    } else {
      data.push_back(static_cast<std::uint8_t>(high * 16 + digit));
      high = -1;
    }
  }
  return data;
}

void put_u16(Data& out, std::uint32_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

void put_u32(Data& out, std::uint32_t value) {
  put_u16(out, value >> 16);
  put_u16(out, value & 0xFFFFU);
}

Data rtp(const RtpFields& f) {
  Data out;
  out.push_back(static_cast<std::uint8_t>(0x80 | (f.padding > 0 ? 0x20 : 0) | (f.extensions.empty() ? 0 : 0x10) |
                                          f.csrcs));
  out.push_back(static_cast<std::uint8_t>((f.marker ? 0x80 : 0) | f.pt));
  put_u16(out, f.seq);
  put_u32(out, f.timestamp);
  put_u32(out, f.ssrc);
  for (int i = 0; i < f.csrcs; ++i) {
    put_u32(out, static_cast<std::uint32_t>(i));
  }
  if (!f.extensions.empty()) {
    Data block;
    for (const auto& [id, value] : f.extensions) {
      if (f.two_byte) {
        block.push_back(static_cast<std::uint8_t>(id));
        block.push_back(static_cast<std::uint8_t>(value.size()));
      } else {
        block.push_back(static_cast<std::uint8_t>((id << 4) | static_cast<int>(value.size() - 1)));
      }
      block.insert(block.end(), value.begin(), value.end());
    }
    while (block.size() % 4 != 0) {
      block.push_back(0);
    }
    put_u16(out, f.two_byte ? 0x1000 : 0xBEDE);
    put_u16(out, static_cast<std::uint32_t>(block.size() / 4));
    out.insert(out.end(), block.begin(), block.end());
  }
  out.insert(out.end(), f.payload.begin(), f.payload.end());
  for (int i = 1; i <= f.padding; ++i) {
    out.push_back(i == f.padding ? static_cast<std::uint8_t>(f.padding) : std::uint8_t{0});
  }
  return out;
}

Packet packet_of(const Data& data, const ExtensionIds& ids) {
  Packet packet;
  if (const auto view = parse_rtp(data)) {
    packet.rtp = *view;
    packet.extensions = read_extensions(*view, ids);
    packet.ext_seq = view->seq;
    packet.payload.valid = true;
  }
  return packet;
}

Data vp8(const Vp8Payload& p) {
  return {static_cast<std::uint8_t>(0x80 | (p.start ? 0x10 : 0)),
          0xF0,
          static_cast<std::uint8_t>(0x80U | (p.picture_id >> 8)),
          static_cast<std::uint8_t>(p.picture_id),
          p.tl0,
          static_cast<std::uint8_t>((p.tid << 6) | (p.sync ? 0x20 : 0) | p.keyidx),
          static_cast<std::uint8_t>(p.keyframe ? 0x10 : 0x11),
          0x55};
}

}  // namespace parley::test
