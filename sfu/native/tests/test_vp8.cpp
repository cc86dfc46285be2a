#include "codec_peek/vp8.h"

#include "builders.h"
#include "check.h"

using namespace parley;
using test::hex;

TEST(full_descriptor_of_a_keyframe) {
  const auto info = peek_vp8(hex("90f0 8123 07 65 10 0200"), false);
  CHECK(info.valid);
  CHECK(info.keyframe_start);
  CHECK(info.frame_start);
  CHECK(!info.frame_end);
  CHECK_EQ(info.temporal, 1);
  CHECK(info.temporal_sync);
  CHECK_EQ(info.picture.prefix_size, 6);
  CHECK_EQ(info.picture.picture_id, 0x123);
  CHECK(info.picture.is_15_bit);
  CHECK_EQ(info.picture.tl0_pic_idx, 7);
  CHECK_EQ(info.picture.keyidx, 5);
}

TEST(every_combination_of_optional_fields) {
  for (unsigned flags = 0; flags < 16; ++flags) {
    test::Data payload{0x90, static_cast<std::uint8_t>(flags << 4)};
    if ((flags & 8U) != 0) {
      payload.push_back(0x55);
    }
    if ((flags & 4U) != 0) {
      payload.push_back(9);
    }
    if ((flags & 3U) != 0) {
      payload.push_back(0xC3);
    }
    const auto descriptor = payload.size();
    CHECK(!peek_vp8(payload, false).valid);  // a descriptor alone is no frame
    payload.push_back(0x01);
    const auto info = peek_vp8(payload, true);
    CHECK(info.valid);
    CHECK_EQ(info.picture.prefix_size, descriptor);
    CHECK_EQ(info.picture.has_picture_id, (flags & 8U) != 0);
    CHECK_EQ(info.picture.has_tl0_pic_idx, (flags & 4U) != 0);
    CHECK_EQ(info.temporal, (flags & 2U) != 0 ? 3 : 0);
    CHECK(!info.keyframe_start);
    CHECK(info.frame_end);
  }
}

TEST(only_the_first_packet_of_the_first_partition_starts_a_frame) {
  struct Row {
    const char* payload;
    bool starts;
  };
  for (const Row& row :
       {Row{"10 00", true}, Row{"00 00", false}, Row{"11 00", false}, Row{"17 00", false}, Row{"30 00", true}}) {
    const auto info = peek_vp8(hex(row.payload), false);
    CHECK_EQ(info.frame_start, row.starts);
    CHECK_EQ(info.keyframe_start, row.starts);
  }
}

TEST(every_truncation_is_malformed) {
  const auto payload = hex("90f0 8123 07 65 10");
  for (std::size_t size = 0; size < payload.size(); ++size) {
    CHECK(!peek_vp8(Bytes(payload).first(size), false).valid);
  }
}
