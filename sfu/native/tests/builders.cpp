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
  out.push_back(
      static_cast<std::uint8_t>(0x80 | (f.padding > 0 ? 0x20 : 0) | (f.extensions.empty() ? 0 : 0x10) | f.csrcs));
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

Data bits(std::initializer_list<std::pair<unsigned, unsigned>> fields) {
  Data out;
  unsigned used = 0;
  for (const auto& [value, count] : fields) {
    for (unsigned bit = count; bit > 0; --bit, ++used) {
      if (used % 8 == 0) {
        out.push_back(0);
      }
      out.back() = static_cast<std::uint8_t>(out.back() | (((value >> (bit - 1)) & 1U) << (7 - used % 8)));
    }
  }
  return out;
}

Data key_descriptor(unsigned id_offset) {
  return bits({{1, 1},         {0, 1},    {id_offset, 6}, {100, 16},          // start, not end, template, frame number
               {1, 1},         {0, 1},    {0, 1},         {0, 1},    {0, 1},  // structure present
               {id_offset, 6}, {1, 5},                                        // two targets
               {0, 2},         {1, 2},    {3, 2},                             // layers: same, next temporal, end
               {2, 2},         {2, 2},    {3, 2},         {2, 2},    {0, 2}, {1, 2},          // indications
               {0, 1},         {1, 1},    {1, 4},         {0, 1},    {1, 1}, {0, 4}, {0, 1},  // frame differences
               {2, 2},         {0, 4},    {2, 4},         {1, 4},                             // one chain
               {1, 1},         {639, 16}, {359, 16}});                                        // resolution
}

Data delta_descriptor(unsigned template_id, bool start, bool end, unsigned frame_number) {
  return bits({{start ? 1U : 0U, 1}, {end ? 1U : 0U, 1}, {template_id, 6}, {frame_number, 16}});
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
