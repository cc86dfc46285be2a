#include "codec_peek/codec_peek.h"

#include "builders.h"
#include "check.h"

using namespace parley;
using test::Data;
using test::delta_descriptor;
using test::hex;
using test::key_descriptor;

namespace {

PayloadInfo peek(CodecPeek& codec_peek, Codec codec, const Data& payload, std::uint32_t timestamp = 0,
                 int padding = 0) {
  const Data data = test::rtp({.timestamp = timestamp, .payload = payload, .padding = padding});
  return codec_peek.peek(codec, *parse_rtp(data), {});
}

ExtensionIds ids() {
  ExtensionIds ids;
  ids.set(Extension::kDependencyDescriptor, 5);
  return ids;
}

Data with_descriptor(const Data& payload, const Data& descriptor, std::uint32_t timestamp) {
  return test::rtp({.timestamp = timestamp, .extensions = {{5, descriptor}}, .two_byte = true, .payload = payload});
}

PayloadInfo described(CodecPeek& codec_peek, Codec codec, const Data& payload, const Data& descriptor,
                      std::uint32_t timestamp) {
  const Data data = with_descriptor(payload, descriptor, timestamp);
  const Packet packet = test::packet_of(data, ids());
  return codec_peek.peek(codec, packet.rtp, packet.extensions);
}

}  // namespace

TEST(names_of_codecs) {
  for (std::size_t i = 0; i < kCodecCount; ++i) {
    CHECK_EQ(codec_from_name(codec_name(static_cast<Codec>(i))), static_cast<Codec>(i));
  }
  CHECK_EQ(codec_from_name("VP8"), Codec::kUnknown);
  CHECK(is_video(Codec::kAv1));
  CHECK(!is_video(Codec::kRed));
}

TEST(padding_only_packets_are_valid_and_nothing_else) {
  CodecPeek codec_peek;
  const auto info = peek(codec_peek, Codec::kVp8, {}, 0, 10);
  CHECK(info.valid);
  CHECK(!info.keyframe_start);
  CHECK(!peek(codec_peek, Codec::kUnknown, {}, 0, 10).valid);
}

TEST(each_codec_has_its_reader) {
  CodecPeek codec_peek;
  CHECK(peek(codec_peek, Codec::kVp8, hex("10 00")).keyframe_start);
  CHECK(peek(codec_peek, Codec::kVp9, hex("08 00")).keyframe_start);
  CHECK(peek(codec_peek, Codec::kH264, hex("67 42")).keyframe_start);
  CHECK(peek(codec_peek, Codec::kAv1, hex("18 0a0b")).keyframe_start);
  CHECK(peek(codec_peek, Codec::kOpus, hex("fc")).valid);
  CHECK(peek(codec_peek, Codec::kRed, hex("6f fc")).valid);
  CHECK(!peek(codec_peek, Codec::kUnknown, hex("fc")).valid);
}

TEST(h264_frames_start_with_a_new_timestamp) {
  CodecPeek codec_peek;
  CHECK(peek(codec_peek, Codec::kH264, hex("41 9a"), 1000).frame_start);
  CHECK(!peek(codec_peek, Codec::kH264, hex("41 9a"), 1000).frame_start);
  CHECK(peek(codec_peek, Codec::kH264, hex("41 9a"), 4000).frame_start);
}

TEST(idr_slice_starts_a_keyframe_only_while_parameter_sets_come_out_of_band) {
  CodecPeek codec_peek;
  CHECK(peek(codec_peek, Codec::kH264, hex("65 88"), 1).keyframe_start);
  CHECK(peek(codec_peek, Codec::kH264, hex("67 42"), 2).keyframe_start);
  CHECK(!peek(codec_peek, Codec::kH264, hex("65 88"), 2).keyframe_start);
  codec_peek.reset();
  CHECK(peek(codec_peek, Codec::kH264, hex("65 88"), 3).keyframe_start);
}

TEST(layers_and_numbers_come_from_the_descriptor_where_a_payload_has_none) {
  struct Row {
    Codec codec;
    Data key;
    Data delta;
  };
  for (const Row& row :
       {Row{Codec::kVp8, hex("90 00 10"), hex("90 00 11")}, Row{Codec::kH264, hex("67 42"), hex("41 9a")}}) {
    CodecPeek codec_peek;
    const PayloadInfo early = described(codec_peek, row.codec, row.delta, delta_descriptor(2), 1);
    CHECK(early.valid);
    CHECK_EQ(early.temporal, 0);                // no structure came: nothing is known of layers,
    CHECK_EQ(early.picture.frame_number, 101);  // but the frame's number stands by itself
    const PayloadInfo key = described(codec_peek, row.codec, row.key, key_descriptor(), 2);
    CHECK(key.keyframe_start);
    CHECK(key.switch_up);
    CHECK_EQ(key.picture.frame_number, 100);
    const PayloadInfo upper = described(codec_peek, row.codec, row.delta, delta_descriptor(2), 3);
    CHECK(!upper.keyframe_start);
    CHECK_EQ(upper.temporal, 1);
    CHECK(!upper.picture.has_picture_id);
  }
}

TEST(layers_of_vp8s_own_stand_beside_a_descriptor) {
  CodecPeek codec_peek;
  described(codec_peek, Codec::kVp8, test::vp8({.keyframe = true, .picture_id = 7}), key_descriptor(), 1);
  const PayloadInfo info =
      described(codec_peek, Codec::kVp8, test::vp8({.picture_id = 8, .tid = 2}), delta_descriptor(2), 2);
  CHECK_EQ(info.temporal, 2);
  CHECK_EQ(info.picture.picture_id, 8);
  CHECK(info.picture.has_frame_number);
  CHECK_EQ(info.picture.frame_number, 101);
}

TEST(a_descriptor_tells_of_an_encrypted_payload) {
  CodecPeek codec_peek;
  const auto look = [&](const Data& descriptor) {
    const Data data = with_descriptor(Data(9, 0xFF), descriptor, 1);
    const Packet packet = test::packet_of(data, ids());
    return codec_peek.peek_encrypted(packet.rtp, packet.extensions);
  };
  const PayloadInfo unknown = look(delta_descriptor(2));
  CHECK(unknown.is_opaque);
  CHECK_EQ(unknown.picture.frame_number, 101);
  const PayloadInfo key = look(key_descriptor());
  CHECK(key.keyframe_start && !key.is_opaque);
  CHECK_EQ(key.height, 360);
  CHECK_EQ(key.picture.frame_number, 100);
  const PayloadInfo upper = look(delta_descriptor(2));
  CHECK_EQ(upper.temporal, 1);
  CHECK_EQ(upper.height, 0);
}
