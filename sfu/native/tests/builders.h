// Builders of packets for tests: rtp({.seq = 10, .marker = true}), bytes from hex, elements of header extensions.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "packet.h"

namespace parley::test {

using Data = std::vector<std::uint8_t>;

inline Data hex(std::string_view text) {
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

struct RtpFields {
  std::uint8_t pt = 96;
  bool marker = false;
  std::uint16_t seq = 1;
  std::uint32_t timestamp = 0;
  std::uint32_t ssrc = 0x11223344;
  int csrcs = 0;
  std::vector<std::pair<int, Data>> extensions{};
  bool two_byte = false;
  Data payload = {0xAA, 0xBB, 0xCC};
  int padding = 0;
};

inline void put_u16(Data& out, std::uint32_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}
inline void put_u32(Data& out, std::uint32_t value) {
  put_u16(out, value >> 16);
  put_u16(out, value & 0xFFFFU);
}

inline Data rtp(const RtpFields& f = {}) {
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

// A parsed packet; `data` must outlive it.
inline Packet packet_of(const Data& data, const ExtensionIds& ids = {}) {
  Packet packet;
  if (const auto view = parse_rtp(data)) {
    packet.rtp = *view;
    packet.extensions = read_extensions(*view, ids);
    packet.ext_seq = view->seq;
    packet.payload.valid = true;
  }
  return packet;
}

// A VP8 payload with a full descriptor (15-bit picture id, TL0PICIDX, TID, KEYIDX).
struct Vp8Payload {
  bool keyframe = false;
  bool start = true;
  std::uint32_t picture_id = 0;
  std::uint8_t tl0 = 0;
  std::uint8_t tid = 0;
  bool sync = false;
  std::uint8_t keyidx = 0;
};

inline Data vp8(const Vp8Payload& p) {
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
