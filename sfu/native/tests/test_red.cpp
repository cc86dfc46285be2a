#include "codec_peek/red.h"

#include <algorithm>
#include <array>

#include "builders.h"
#include "check.h"

using namespace parley;
using test::Data;
using test::hex;

TEST(blocks_stay_within_the_payload_and_the_newest_is_there) {
  struct Row {
    const char* payload;
    bool valid;
  };
  for (const Row& row : {Row{"6f fc", true}, Row{"ef 003c02 6f aaaa fc", true}, Row{"ef 003c03 6f aaaa", false},
                         Row{"ef 003c02 6f aaaa", false}, Row{"ef 003c", false}, Row{"ef 003c02", false},
                         Row{"", false}, Row{"6f", false}, Row{"ef 003c00 6f fc", true}}) {
    CHECK_EQ(peek_red(hex(row.payload)).valid, row.valid);
  }
}

TEST(copies_are_told_oldest_first_with_their_age) {
  const Data payload = hex("ef 0f0002 ef 078001 6f a1a2 b1 c1c2c3");
  const auto red = parse_red(payload);
  CHECK(red.has_value());
  CHECK_EQ(red->copy_count, 2);
  CHECK_EQ(red->copies[0].timestamp_offset, 960);
  CHECK_EQ(red->copies[0].pt, 111);
  CHECK(std::ranges::equal(red->copies[0].data, hex("a1a2")));
  CHECK_EQ(red->copies[1].timestamp_offset, 480);
  CHECK(std::ranges::equal(red->copies[1].data, hex("b1")));
  CHECK_EQ(red->primary_pt, 111);
  CHECK_EQ(red->primary_offset, 12);
}

TEST(more_copies_than_eight_are_refused) {
  Data payload;
  for (int copy = 0; copy < 9; ++copy) {
    const Data header = hex("ef 000000");
    payload.insert(payload.end(), header.begin(), header.end());
  }
  const Data rest = hex("6f fc");
  payload.insert(payload.end(), rest.begin(), rest.end());
  CHECK(!parse_red(payload).has_value());
  CHECK(parse_red(Bytes(payload).subspan(4)).has_value());
}

TEST(types_are_written_into_every_header_and_nowhere_else) {
  Data payload = hex("ef 0f0002 ef 078001 6f efef ef efefef");
  set_red_types(payload, 96);
  CHECK(payload == hex("e0 0f0002 e0 078001 60 efef ef efefef"));
}

TEST(packet_without_copies_keeps_header_and_extensions) {
  const Data data = test::rtp({.pt = 63,
                               .marker = true,
                               .seq = 7,
                               .timestamp = 8,
                               .ssrc = 9,
                               .extensions = {{1, hex("85")}},
                               .payload = hex("ef 0f0002 6f a1a2 c1c2c3"),
                               .padding = 3});
  Packet packet = test::packet_of(data);
  packet.codec = Codec::kRed;
  packet.payload = peek_red(packet.rtp.payload());
  CHECK(packet.has_copies());
  std::array<std::uint8_t, kMaxPacketSize> out{};
  const auto plain = parse_rtp(without_copies(packet, out));
  CHECK(plain.has_value());
  CHECK_EQ(plain->pt, 111);
  CHECK(plain->marker);
  CHECK_EQ(plain->seq, 7);
  CHECK_EQ(plain->timestamp, 8U);
  CHECK_EQ(plain->ssrc, 9U);
  CHECK_EQ(plain->padding_size, 0);
  CHECK(std::ranges::equal(*find_extension(*plain, 1), hex("85")));
  CHECK(std::ranges::equal(plain->payload(), hex("c1c2c3")));
}
