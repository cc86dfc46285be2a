#include "seq.h"

#include "check.h"

using namespace parley;

TEST(newer_goes_the_shorter_way_round) {
  CHECK(is_newer<std::uint16_t>(1, 0));
  CHECK(is_newer<std::uint16_t>(0, 65535));
  CHECK(!is_newer<std::uint16_t>(65535, 0));
  CHECK(!is_newer<std::uint16_t>(5, 5));
  CHECK(is_newer<std::uint32_t>(10, 0xFFFFFFF0U));
  CHECK_EQ(wrap_diff<std::uint16_t>(2, 65534), 4);
  CHECK_EQ(wrap_diff<std::uint16_t>(32768, 0), -32768);
}

TEST(unwrap_counts_on_over_the_wrap) {
  SeqUnwrapper seq;
  CHECK_EQ(seq.unwrap(65534), 65534);
  CHECK_EQ(seq.unwrap(65535), 65535);
  CHECK_EQ(seq.unwrap(0), 65536);
  CHECK_EQ(seq.unwrap(65535), 65535);  // late
  CHECK_EQ(seq.unwrap(1), 65537);
  CHECK_EQ(seq.highest(), 65537);
}

TEST(unwrap_goes_below_zero_at_the_start) {
  SeqUnwrapper seq;
  CHECK_EQ(seq.unwrap(1), 1);
  CHECK_EQ(seq.unwrap(65535), -1);
  CHECK_EQ(seq.unwrap(2), 2);
}

TEST(old_values_do_not_drag_the_reference_back) {
  SeqUnwrapper seq;
  seq.unwrap(40000);
  seq.unwrap(10000);
  CHECK_EQ(seq.unwrap(60000), 60000);
  CHECK_EQ(seq.highest(), 60000);
}

TEST(every_width_wraps_at_its_own_range) {
  TimestampUnwrapper timestamps;
  CHECK_EQ(timestamps.unwrap(0xFFFFFFFFU), 0xFFFFFFFFLL);
  CHECK_EQ(timestamps.unwrap(5), 0x100000005LL);
  PictureIdUnwrapper pictures;
  CHECK_EQ(pictures.unwrap(32767), 32767);
  CHECK_EQ(pictures.unwrap(0), 32768);
}

TEST(peek_changes_nothing) {
  SeqUnwrapper seq;
  CHECK_EQ(seq.peek(7), 7);
  CHECK(!seq.started());
  seq.unwrap(65535);
  CHECK_EQ(seq.peek(0), 65536);
  CHECK_EQ(seq.highest(), 65535);
}
