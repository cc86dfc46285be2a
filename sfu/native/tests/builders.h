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

Data hex(std::string_view text);

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

void put_u16(Data& out, std::uint32_t value);
void put_u32(Data& out, std::uint32_t value);

Data rtp(const RtpFields& f = {});

// A parsed packet; `data` must outlive it.
Packet packet_of(const Data& data, const ExtensionIds& ids = {});

// (value, number of bits) ... as bytes.
Data bits(std::initializer_list<std::pair<unsigned, unsigned>> fields);

// A dependency descriptor with the structure of one spatial, two temporal layers of 640 x 360: templates T0, T0
// (delta), T1; decode targets 0 (T0) and 1 (T0 and T1); frame number 100.
Data key_descriptor(unsigned id_offset = 0);
// One that refers to a template of it.
Data delta_descriptor(unsigned template_id, bool start = true, bool end = true, unsigned frame_number = 101);

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

Data vp8(const Vp8Payload& p);

}  // namespace parley::test
