#include "codec_peek/codec_peek.h"

#include "builders.h"
#include "check.h"

using namespace parley;
using test::Data;
using test::hex;

namespace {

PayloadInfo peek(CodecPeek& codec_peek, Codec codec, const Data& payload, std::uint32_t timestamp = 0,
                 int padding = 0) {
  const Data data = test::rtp({.timestamp = timestamp, .payload = payload, .padding = padding});
  return codec_peek.peek(codec, *parse_rtp(data), {});
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
