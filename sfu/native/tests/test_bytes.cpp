#include "bytes.h"

#include <array>

#include "builders.h"
#include "check.h"

using namespace parley;
using test::hex;

TEST(reader_reads_network_order) {
  const auto data = hex("01 0203 040506 0708090a 0b0c0d0e0f101112");
  Reader reader(data);
  CHECK_EQ(reader.u8(), 0x01);
  CHECK_EQ(reader.u16(), 0x0203);
  CHECK_EQ(reader.u24(), 0x040506U);
  CHECK_EQ(reader.u32(), 0x0708090AU);
  CHECK_EQ(reader.u64(), 0x0B0C0D0E0F101112U);
  CHECK(reader.ok());
  CHECK(reader.empty());
}

TEST(short_read_fails_once_and_for_all) {
  const auto data = hex("01 02 03");
  Reader reader(data);
  CHECK_EQ(reader.u32(), 0U);
  CHECK(!reader.ok());
  CHECK_EQ(reader.u8(), 0);
  CHECK(reader.take(0).empty());
  CHECK(!reader.ok());
  CHECK(reader.empty());  // a loop until the end ends
}

TEST(reader_of_nothing_is_empty) {
  Reader reader({});
  CHECK(reader.ok());
  CHECK(reader.empty());
  CHECK_EQ(reader.u8(), 0);
  CHECK(!reader.ok());
}

TEST(writer_writes_network_order_and_pads) {
  std::array<std::uint8_t, 16> out{};
  Writer writer(out);
  writer.u8(1);
  writer.u16(0x0203);
  writer.u24(0x040506);
  writer.u32(0x0708090A);
  writer.fill(0xFF, 2);
  writer.bytes(hex("aabb"));
  CHECK(writer.ok());
  CHECK(std::ranges::equal(writer.written(), hex("01020304 05060708 090affff aabb")));
}

TEST(short_write_leaves_no_trace) {
  std::array<std::uint8_t, 5> out{};
  Writer writer(out);
  writer.u32(0x01020304);
  writer.u16(0xFFFF);
  CHECK(!writer.ok());
  CHECK_EQ(writer.size(), 4U);
  writer.u8(7);
  CHECK_EQ(writer.size(), 4U);
  writer.rewind(2);
  CHECK(writer.ok());
  writer.u8(9);
  CHECK(std::ranges::equal(writer.written(), hex("010209")));
}

TEST(bit_reader_reads_most_significant_first) {
  const auto data = hex("b5 0f");  // 1011 0101 0000 1111
  BitReader bits(data);
  CHECK(bits.flag());
  CHECK_EQ(bits.bits(3), 3U);
  CHECK_EQ(bits.bits(8), 0x50U);
  CHECK_EQ(bits.bits(5), 0U);
  CHECK(!bits.ok());
}

TEST(non_symmetric_values_take_the_fewest_bits) {
  // limit 5: 0,1,2 in two bits, 3 and 4 in three.
  struct Row {
    std::uint8_t byte;
    std::uint32_t value;
    std::size_t bits;
  };
  for (const Row& row : {Row{0x00, 0, 2}, Row{0x40, 1, 2}, Row{0x80, 2, 2}, Row{0xC0, 3, 3}, Row{0xE0, 4, 3}}) {
    const std::array<std::uint8_t, 1> data{row.byte};
    BitReader bits(data);
    CHECK_EQ(bits.non_symmetric(5), row.value);
    CHECK_EQ(bits.remaining_bits(), 8 - row.bits);
  }
  BitReader nothing({});
  CHECK_EQ(nothing.non_symmetric(1), 0U);
  CHECK(nothing.ok());
}
