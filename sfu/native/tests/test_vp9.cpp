#include "codec_peek/vp9.h"

#include "builders.h"
#include "check.h"

using namespace parley;
using test::hex;

TEST(keyframe_with_its_structure) {
  // I, B, E, V; 15-bit picture id; two spatial layers with resolutions and a picture group of two.
  const auto info = peek_vp9(hex("8e 8123 38 0140 00b4 0280 0168 02 00 14 01 aa"), false);
  CHECK(info.valid);
  CHECK(info.keyframe_start);
  CHECK(info.frame_start);
  CHECK(info.frame_end);
}

TEST(layers_of_the_non_flexible_mode) {
  // I, P, L, B: temporal 2 with switch-up, spatial 1, TL0PICIDX.
  const auto info = peek_vp9(hex("e8 15 52 09 aa"), false);
  CHECK(info.valid);
  CHECK_EQ(info.temporal, 2);
  CHECK_EQ(info.spatial, 1);
  CHECK(info.switch_up);
  CHECK(info.frame_start);
  CHECK(!info.frame_end);
  CHECK(!info.keyframe_start);
  CHECK(!info.spatial_sync);
}

TEST(upper_spatial_layer_of_a_keyframe_is_a_sync_and_no_start) {
  const auto info = peek_vp9(hex("a8 15 03 09 aa"), false);
  CHECK(info.spatial_sync);
  CHECK(!info.keyframe_start);
}

TEST(reference_differences_of_the_flexible_mode) {
  CHECK(peek_vp9(hex("d8 15 02 aa"), false).valid);
  CHECK(peek_vp9(hex("d8 15 03 05 02 aa"), false).valid);
  CHECK(!peek_vp9(hex("d8 15 03 05 07 02 aa"), false).valid);  // a fourth one
  CHECK(!peek_vp9(hex("d8 15 03"), false).valid);
}

TEST(marker_ends_the_picture) { CHECK(peek_vp9(hex("00 aa"), true).frame_end); }

TEST(every_truncation_is_malformed) {
  const auto payload = hex("ae 8123 52 09 38 0140 00b4 0280 0168 02 00 14 01 aa");
  CHECK(peek_vp9(payload, false).valid);
  for (std::size_t size = 0; size < payload.size(); ++size) {
    CHECK(!peek_vp9(Bytes(payload).first(size), false).valid);
  }
}

TEST(structure_that_promises_more_than_it_has) {
  CHECK(!peek_vp9(hex("02 08 ff 0c0c0c"), false).valid);
  CHECK(!peek_vp9(hex("02 f0 00"), false).valid);
}
