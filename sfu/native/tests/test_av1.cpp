#include "codec_peek/av1.h"

#include "builders.h"
#include "check.h"
#include "codec_peek/vp8.h"

using namespace parley;
using test::bits;
using test::Data;
using test::delta_descriptor;
using test::hex;
using test::key_descriptor;

namespace {

const Data kDeltaPayload = hex("10 32aabb");

}  // namespace

TEST(structure_is_read_and_kept) {
  DependencyReader reader;
  CHECK(!reader.read(delta_descriptor(0)).has_value());
  const auto key = reader.read(key_descriptor());
  CHECK(key.has_value());
  CHECK(key->has_structure);
  CHECK_EQ(key->frame_number, 100);
  CHECK_EQ(reader.structure()->template_count, 3);
  CHECK_EQ(reader.structure()->target_count, 2);
  CHECK_EQ(reader.structure()->targets[0].temporal, 0);
  CHECK_EQ(reader.structure()->targets[1].temporal, 1);
  const auto upper = reader.read(delta_descriptor(2));
  CHECK_EQ(upper->temporal, 1);
  CHECK_EQ(upper->present_targets, 0b10U);
  CHECK_EQ(reader.read(delta_descriptor(0))->temporal, 0);
}

TEST(template_ids_count_from_the_offset_and_wrap) {
  DependencyReader reader;
  CHECK(reader.read(key_descriptor(63)).has_value());
  CHECK_EQ(reader.read(delta_descriptor(63))->temporal, 0);
  CHECK_EQ(reader.read(delta_descriptor(1))->temporal, 1);
  CHECK(!reader.read(delta_descriptor(2)).has_value());
}

TEST(custom_indications_replace_the_templates) {
  DependencyReader reader;
  reader.read(key_descriptor());
  const auto custom = reader.read(
      bits({{1, 1}, {1, 1}, {2, 6}, {5, 16}, {0, 1}, {1, 1}, {1, 1}, {0, 1}, {0, 1}, {3, 2}, {0, 2}, {2, 2}}));
  CHECK_EQ(custom->switch_targets, 0b10U);
}

TEST(every_truncation_of_the_structure_is_refused_and_changes_nothing) {
  const auto key = key_descriptor();
  for (std::size_t size = 0; size < key.size(); ++size) {
    DependencyReader reader;
    CHECK(!reader.read(Bytes(key).first(size)).has_value());
    CHECK(reader.structure() == nullptr);
  }
}

TEST(endless_templates_are_refused) {
  Data endless = bits({{1, 1}, {0, 1}, {0, 6}, {0, 16}, {1, 1}, {0, 4}, {0, 6}, {0, 5}});
  endless.resize(250, 0);
  DependencyReader reader;
  CHECK(!reader.read(endless).has_value());
}

TEST(descriptor_decides_over_the_payload) {
  Av1State state;
  const auto key = peek_av1(hex("18 0a0b00"), false, key_descriptor(), state);
  CHECK(key.valid);
  CHECK(key.keyframe_start);
  CHECK(key.frame_start);
  CHECK(!key.frame_end);
  CHECK(key.switch_up);
  const auto delta = peek_av1(kDeltaPayload, false, delta_descriptor(1, false, true), state);
  CHECK(!delta.keyframe_start);
  CHECK(!delta.frame_start);
  CHECK(delta.frame_end);
  CHECK(!delta.temporal_sync);
  const auto upper = peek_av1(kDeltaPayload, true, delta_descriptor(2), state);
  CHECK_EQ(upper.temporal, 1);
  CHECK(!upper.temporal_sync);
}

TEST(a_payload_that_tells_no_layers_has_those_of_the_descriptor) {
  DependencyReader reader;
  PayloadInfo key = peek_vp8(hex("90 00 10"), false);
  add_temporal_layer(key_descriptor(), reader, key);
  CHECK(key.keyframe_start);
  CHECK(key.switch_up);
  CHECK_EQ(key.temporal, 0);
  CHECK(!key.picture.has_frame_number);
  PayloadInfo upper = peek_vp8(hex("90 00 11"), true);
  add_temporal_layer(delta_descriptor(2), reader, upper);
  CHECK(!upper.keyframe_start);
  CHECK(upper.frame_start);
  CHECK_EQ(upper.temporal, 1);
}

TEST(a_picture_id_of_the_payload_stands_beside_a_descriptor) {
  DependencyReader reader;
  reader.read(key_descriptor());
  PayloadInfo info = peek_vp8(hex("90 80 8007 11"), true);
  add_temporal_layer(delta_descriptor(2), reader, info);
  CHECK_EQ(info.temporal, 1);
  CHECK_EQ(info.picture.picture_id, 7);
}

TEST(without_a_structure_a_payload_keeps_what_it_told) {
  DependencyReader reader;
  PayloadInfo info = peek_vp8(hex("90 00 11"), true);
  add_temporal_layer(delta_descriptor(2), reader, info);
  CHECK(info.valid);
  CHECK_EQ(info.temporal, 0);
}

TEST(a_frames_number_needs_no_structure) {
  PayloadInfo info;
  add_frame_number(delta_descriptor(2, true, true, 0x1234), info);
  CHECK(info.picture.has_frame_number);
  CHECK_EQ(info.picture.frame_number, 0x1234);
  PayloadInfo bare;
  add_frame_number(hex("80 00"), bare);
  CHECK(!bare.picture.has_frame_number);
}

TEST(without_a_descriptor_the_aggregation_header_decides) {
  struct Row {
    const char* payload;
    bool valid;
    bool keyframe;
  };
  for (const Row& row : {Row{"18 0a0b00", true, true},        // N
                         Row{"10 32aabb", true, false},       // a frame OBU
                         Row{"10 0a0b00", true, true},        // a sequence header
                         Row{"98 0a0b00", true, false},       // N inside a fragment is malformed
                         Row{"20 02 1200 0a0b", true, true},  // temporal delimiter, then sequence header
                         Row{"00 02 1200 02 0a0b", true, true}, Row{"00 ff", true, false},  // length without end
                         Row{"00 7f 0a", true, false},                                      // length beyond the payload
                         Row{"00 00 0a", true, false},                                      // an OBU of nothing
                         Row{"18", false, false}, Row{"", false, false}}) {
    Av1State state;
    const auto info = peek_av1(hex(row.payload), false, {}, state);
    CHECK_EQ(info.valid, row.valid);
    CHECK_EQ(info.keyframe_start, row.keyframe);
  }
}

TEST(malformed_descriptor_falls_back_to_the_payload) {
  Av1State state;
  CHECK(peek_av1(hex("18 0a0b00"), false, hex("80 00"), state).keyframe_start);
}

TEST(without_a_descriptor_frames_tell_their_layers) {
  struct Row {
    const char* payload;
    bool marker;
    bool keyframe;
    bool start;
    bool end;
    int spatial;
    int temporal;
  };
  Av1State state;
  for (const Row& row : {Row{"68 02 0a0b 3400aa", false, true, true, false, 0, 0},  // sequence header, half a frame
                         Row{"90 bb", false, false, false, true, 0, 0},             // its other half
                         Row{"50 3408aa", false, false, true, false, 1, 0},         // half a frame of the layer above
                         Row{"d0 bb", false, false, false, false, 1, 0},            // its middle
                         Row{"90 cc", true, false, false, true, 1, 0},              // its end
                         Row{"20 02 1600 3420aa", false, false, true, true, 0, 1},  // behind a temporal delimiter
                         Row{"10 3428bb", true, false, true, true, 1, 1},
                         Row{"10 30aa", false, false, true, false, 0, 0},  // no layers: the marker alone ends it
                         Row{"50 34", false, false, false, false, 0, 0},   // a header without its second byte
                         Row{"90 cc", true, false, false, true, 0, 0}}) {
    const auto info = peek_av1(hex(row.payload), row.marker, {}, state);
    CHECK(info.valid);
    CHECK_EQ(info.keyframe_start, row.keyframe);
    CHECK_EQ(info.frame_start, row.start);
    CHECK_EQ(info.frame_end, row.end);
    CHECK_EQ(info.spatial, row.spatial);
    CHECK_EQ(info.temporal, row.temporal);
  }
}

TEST(tile_groups_of_a_frame_end_with_the_marker) {
  Av1State state;
  CHECK(peek_av1(hex("20 03 1c08aa 2408bb"), false, {}, state).frame_start);
  const auto rest = peek_av1(hex("10 2408cc"), true, {}, state);
  CHECK(!rest.frame_start);
  CHECK(rest.frame_end);
  CHECK_EQ(rest.spatial, 1);
}
