#include "munger.h"

#include <deque>

#include "builders.h"
#include "check.h"
#include "codec_peek/vp8.h"
#include "codec_peek/vp9.h"

using namespace parley;
using test::Data;
using test::Vp8Payload;

namespace {

constexpr std::uint32_t kHz = 90'000;
constexpr TimeNs kMs = kMillisecond;

// A VP8 packet; the view's bytes live in `Source`.
struct Source {
  std::deque<Data> kept{};

  Packet packet(std::int64_t ext_seq, std::uint32_t timestamp, const Vp8Payload& payload, bool marker = false) {
    kept.push_back(test::rtp({.marker = marker,
                              .seq = static_cast<std::uint16_t>(ext_seq),
                              .timestamp = timestamp,
                              .payload = test::vp8(payload)}));
    Packet packet = test::packet_of(kept.back());
    packet.codec = Codec::kVp8;
    packet.payload = peek_vp8(packet.rtp.payload(), marker);
    packet.ext_seq = ext_seq;
    return packet;
  }

  // VP9 with picture id (7 or 15 bits), layer indices and TL0PICIDX.
  Packet vp9(std::int64_t ext_seq, std::uint16_t picture_id, std::uint8_t tl0, bool is_long = true) {
    Data payload = {0xA8};
    if (is_long) {
      test::put_u16(payload, 0x8000U | picture_id);
    } else {
      payload.push_back(static_cast<std::uint8_t>(picture_id));
    }
    payload.insert(payload.end(), {0x22, tl0, 0xEE, 0xFF});
    kept.push_back(test::rtp({.seq = static_cast<std::uint16_t>(ext_seq), .payload = payload}));
    Packet packet = test::packet_of(kept.back());
    packet.codec = Codec::kVp9;
    packet.payload = peek_vp9(packet.rtp.payload(), false);
    packet.ext_seq = ext_seq;
    return packet;
  }

  // AV1 whose frame number a dependency descriptor told.
  Packet av1(std::int64_t ext_seq, std::uint16_t frame_number) {
    Packet packet = audio(ext_seq, 0);
    packet.codec = Codec::kAv1;
    packet.payload.picture.has_frame_number = true;
    packet.payload.picture.frame_number = frame_number;
    return packet;
  }

  Packet audio(std::int64_t ext_seq, std::uint32_t timestamp, std::size_t size = 10) {
    kept.push_back(test::rtp({.seq = static_cast<std::uint16_t>(ext_seq),
                              .timestamp = timestamp,
                              .payload = Data(size, 1),
                              .padding = size == 0 ? 5 : 0}));
    Packet packet = test::packet_of(kept.back());
    packet.codec = Codec::kOpus;
    packet.ext_seq = ext_seq;
    return packet;
  }
};

}  // namespace

TEST(first_source_starts_at_the_chosen_numbers) {
  Source source;
  Munger munger(1000, 5000);
  CHECK(!munger.has_source());
  const auto first = munger.switch_source(source.audio(70'000, 123'456), std::nullopt, 48'000, 0);
  CHECK_EQ(first.seq(), 1000);
  CHECK_EQ(first.timestamp, 5000U);
  CHECK(munger.has_source());
  const auto next = munger.forward(source.audio(70'001, 124'416), false, 20 * kMs);
  CHECK_EQ(next->seq(), 1001);
  CHECK_EQ(next->timestamp, 5960U);
}

TEST(nothing_goes_out_before_the_first_source) {
  Source source;
  Munger munger(0, 0);
  CHECK(!munger.forward(source.audio(1, 1), false, 0).has_value());
  munger.drop(source.audio(2, 1));
}

TEST(numbers_and_timestamps_wrap) {
  Source source;
  Munger munger(65535, 0xFFFFFFFF);
  CHECK_EQ(munger.switch_source(source.audio(65535, 10), std::nullopt, 48'000, 0).seq(), 65535);
  const auto next = munger.forward(source.audio(65536, 20), false, 0);
  CHECK_EQ(next->seq(), 0);
  CHECK_EQ(next->ext_seq, 65536);
  CHECK_EQ(next->timestamp, 9U);
}

TEST(lost_and_late_packets_keep_their_places) {
  Source source;
  Munger munger(0, 0);
  munger.switch_source(source.audio(10, 0), std::nullopt, 48'000, 0);
  CHECK_EQ(munger.forward(source.audio(13, 3), false, 0)->seq(), 3);
  CHECK_EQ(munger.forward(source.audio(12, 2), false, 0)->seq(), 2);
  CHECK_EQ(munger.last_seq(), 3);
  CHECK_EQ(munger.last_timestamp(), 3U);
  CHECK(!munger.forward(source.audio(9, 0), false, 0).has_value());  // from before the switch
}

TEST(padding_only_packets_are_closed_up) {
  Source source;
  Munger munger(0, 0);
  munger.switch_source(source.audio(10, 0), std::nullopt, 48'000, 0);
  CHECK(!munger.forward(source.audio(11, 0, 0), false, 0).has_value());
  CHECK_EQ(munger.forward(source.audio(12, 960), false, 0)->seq(), 1);
}

TEST(switch_goes_on_where_the_old_source_stopped) {
  Source source;
  Munger munger(0, 0);
  munger.switch_source(source.packet(100, 9000, {.keyframe = true, .picture_id = 5, .tl0 = 7, .keyidx = 3}),
                       std::nullopt, kHz, 0);
  const auto last =
      munger.forward(source.packet(101, 12'000, {.picture_id = 6, .tl0 = 8, .keyidx = 3}), false, 33 * kMs);
  CHECK_EQ(last->picture_id, 6);
  const auto first =
      munger.switch_source(source.packet(5, 777, {.keyframe = true, .picture_id = 30'000, .tl0 = 250, .keyidx = 31}),
                           std::nullopt, kHz, 66 * kMs);
  CHECK_EQ(first.seq(), 2);
  CHECK_EQ(first.timestamp, last->timestamp + 2970);  // 33 ms by the clock
  CHECK_EQ(first.picture_id, 7);
  CHECK_EQ(first.tl0_pic_idx, 9);
  CHECK_EQ(first.keyidx, 4);
  const auto next =
      munger.forward(source.packet(6, 777 + 3000, {.picture_id = 30'001, .tl0 = 251, .keyidx = 31}), false, 99 * kMs);
  CHECK_EQ(next->seq(), 3);
  CHECK_EQ(next->timestamp, first.timestamp + 3000);
  CHECK_EQ(next->picture_id, 8);
  CHECK_EQ(next->tl0_pic_idx, 10);
  CHECK_EQ(next->keyidx, 4);
}

TEST(vp8_fields_wrap) {
  Source source;
  Munger munger(0, 0);
  munger.switch_source(source.packet(1, 0, {.keyframe = true, .picture_id = 32'767, .tl0 = 255, .keyidx = 31}),
                       std::nullopt, kHz, 0);
  const auto next = munger.forward(source.packet(2, 1, {.picture_id = 0, .tl0 = 0, .keyidx = 0}), false, 0);
  CHECK_EQ(next->picture_id, 0);
  CHECK_EQ(next->tl0_pic_idx, 0);
  const auto first = munger.switch_source(
      source.packet(9, 0, {.keyframe = true, .picture_id = 100, .tl0 = 100, .keyidx = 31}), std::nullopt, kHz, kMs);
  CHECK_EQ(first.picture_id, 1);
  CHECK_EQ(first.tl0_pic_idx, 1);
  CHECK_EQ(first.keyidx, 1);
}

TEST(aligned_timestamps_decide_when_they_are_plausible) {
  struct Row {
    const char* why;
    std::int32_t aligned;  // relative to the last packet's timestamp
    std::uint32_t expected;
  };
  // 100 ms pass: 9000 ticks.
  for (const Row& row :
       {Row{"exact", 8800, 8800}, Row{"captured before the last one", -3000, 1}, Row{"the same instant", 0, 1},
        Row{"a report that lies ahead", 900'000, 9000}, Row{"a report that lies behind", -900'000, 9000}}) {
    Source source;
    Munger munger(0, 0);
    munger.switch_source(source.packet(1, 50'000, {.keyframe = true}), std::nullopt, kHz, 0);
    const auto aligned = 50'000U + static_cast<std::uint32_t>(row.aligned);
    const auto first = munger.switch_source(source.packet(500, 1, {.keyframe = true}), aligned, kHz, 100 * kMs);
    CHECK_EQ(first.timestamp, row.expected);
  }
}

TEST(resume_after_a_pause_keeps_the_sources_clock) {
  Source source;
  Munger munger(0, 0);
  munger.switch_source(source.packet(1, 0, {.keyframe = true, .picture_id = 1}), std::nullopt, kHz, 0);
  // Ten seconds later, 300 packets and frames on, the same source comes back.
  const std::uint32_t timestamp = 10 * kHz + 17;
  const auto first = munger.switch_source(source.packet(300, timestamp, {.keyframe = true, .picture_id = 301}),
                                          timestamp, kHz, 10 * kSecond);
  CHECK_EQ(first.seq(), 1);
  CHECK_EQ(first.timestamp, timestamp);
  CHECK_EQ(first.picture_id, 2);
}

TEST(dropped_frames_close_up_numbers_and_pictures) {
  Source source;
  Munger munger(0, 0);
  munger.switch_source(source.packet(1, 0, {.keyframe = true, .picture_id = 10}), std::nullopt, kHz, 0);
  munger.drop(source.packet(2, 3000, {.picture_id = 11, .tid = 2}));
  munger.drop(source.packet(3, 3000, {.start = false, .picture_id = 11, .tid = 2}, true));
  const auto next = munger.forward(source.packet(4, 6000, {.picture_id = 12, .tl0 = 1}), false, 66 * kMs);
  CHECK_EQ(next->seq(), 1);
  CHECK_EQ(next->picture_id, 11);
  const auto same = munger.forward(source.packet(5, 6000, {.start = false, .picture_id = 12, .tl0 = 1}), false, 0);
  CHECK_EQ(same->picture_id, 11);
}

TEST(marker_is_set_where_the_picture_is_cut_off) {
  Source source;
  Munger munger(0, 0);
  munger.switch_source(source.packet(1, 0, {.keyframe = true}), std::nullopt, kHz, 0);
  CHECK(!munger.forward(source.packet(2, 0, {}), false, 0)->marker);
  CHECK(munger.forward(source.packet(3, 0, {}), true, 0)->marker);
  CHECK(munger.forward(source.packet(4, 0, {}, true), false, 0)->marker);
}

TEST(switch_to_another_codec_and_back) {
  Source source;
  Munger munger(0, 0);
  munger.switch_source(source.packet(1, 0, {.keyframe = true, .picture_id = 10, .tl0 = 4}), std::nullopt, kHz, 0);
  munger.switch_source(source.audio(1, 0), std::nullopt, kHz, kMs);
  const auto back = munger.switch_source(source.packet(7, 0, {.keyframe = true, .picture_id = 999, .tl0 = 77}),
                                         std::nullopt, kHz, 2 * kMs);
  CHECK_EQ(back.seq(), 2);
  CHECK_EQ(back.picture_id, 11);
  CHECK_EQ(back.tl0_pic_idx, 5);
}

TEST(patch_rewrites_the_descriptor) {
  Source source;
  const auto packet = source.packet(1, 0, {.picture_id = 10, .tl0 = 4, .tid = 2, .sync = true, .keyidx = 9});
  const auto patch = payload_patch(packet, 0x7FFF, 255, 31);
  CHECK_EQ(patch.skip, 6);
  CHECK(std::ranges::equal(Bytes(patch.bytes).first(patch.size), test::hex("90f0 ffff ff bf")));
}

TEST(seven_bit_picture_ids_grow_to_fifteen) {
  const Data data = test::rtp({.payload = test::hex("90c0 05 07 1122")});  // I and L
  Packet packet = test::packet_of(data);
  packet.codec = Codec::kVp8;
  packet.payload = peek_vp8(packet.rtp.payload(), false);
  const auto patch = payload_patch(packet, 300, 8, 0);
  CHECK_EQ(patch.skip, 4);
  CHECK(std::ranges::equal(Bytes(patch.bytes).first(patch.size), test::hex("90c0 812c 08")));
}

TEST(nothing_to_rewrite_gives_an_empty_patch) {
  for (const auto* payload : {"10 11", "9000 11"}) {
    const Data data = test::rtp({.payload = test::hex(payload)});
    Packet packet = test::packet_of(data);
    packet.codec = Codec::kVp8;
    packet.payload = peek_vp8(packet.rtp.payload(), false);
    CHECK_EQ(payload_patch(packet, 1, 1, 1).size, 0);
  }
  Source source;
  CHECK_EQ(payload_patch(source.audio(1, 1), 1, 1, 1).skip, 0);
}

TEST(vp9_pictures_go_on_across_a_switch_and_keep_their_holes) {
  Source source;
  Munger munger(0, 0);
  CHECK_EQ(munger.switch_source(source.vp9(1, 32'767, 9), std::nullopt, kHz, 0).picture_id, 32'767);
  CHECK_EQ(munger.forward(source.vp9(2, 0, 10), false, kMs)->picture_id, 0);
  munger.drop(source.vp9(3, 1, 10));
  const auto after_drop = munger.forward(source.vp9(4, 2, 11), false, 2 * kMs);
  CHECK_EQ(after_drop->picture_id, 2);  // references count pictures: the hole stays
  CHECK_EQ(after_drop->seq(), 2);
  const auto switched = munger.switch_source(source.vp9(500, 7000, 200), std::nullopt, kHz, 3 * kMs);
  CHECK_EQ(switched.picture_id, 3);
  CHECK_EQ(switched.tl0_pic_idx, 12);
  const auto next = munger.forward(source.vp9(501, 7004, 201), false, 4 * kMs);
  CHECK_EQ(next->picture_id, 7);
  CHECK_EQ(next->tl0_pic_idx, 13);
}

TEST(av1_frame_numbers_go_on_across_a_switch) {
  Source source;
  Munger munger(0, 0);
  CHECK_EQ(munger.switch_source(source.av1(1, 65'534), std::nullopt, kHz, 0).frame_number, 65'534);
  CHECK_EQ(munger.forward(source.av1(2, 65'535), false, kMs)->frame_number, 65'535);
  CHECK_EQ(munger.switch_source(source.av1(9, 40), std::nullopt, kHz, 2 * kMs).frame_number, 0);
  CHECK_EQ(munger.forward(source.av1(10, 42), false, 3 * kMs)->frame_number, 2);
}

TEST(frame_numbers_of_vp8_and_h264_go_on_beside_picture_ids) {
  Source source;
  Munger munger(0, 0);
  const auto vp8 = [&](std::int64_t ext_seq, std::uint32_t picture_id, std::uint16_t frame_number) {
    Packet packet = source.packet(ext_seq, 0, {.picture_id = picture_id});
    packet.payload.picture.has_frame_number = true;
    packet.payload.picture.frame_number = frame_number;
    return packet;
  };
  const auto h264 = [&](std::int64_t ext_seq, std::uint16_t frame_number) {
    Packet packet = source.av1(ext_seq, frame_number);
    packet.codec = Codec::kH264;
    return packet;
  };
  const auto first = munger.switch_source(vp8(1, 7, 40'000), std::nullopt, kHz, 0);
  CHECK_EQ(first.picture_id, 7);
  CHECK_EQ(first.frame_number, 40'000);
  munger.drop(vp8(2, 8, 40'001));
  const auto after_drop = munger.forward(vp8(3, 9, 40'002), false, kMs);
  CHECK_EQ(after_drop->picture_id, 8);         // closes up,
  CHECK_EQ(after_drop->frame_number, 40'002);  // while differences of frame numbers are references
  const auto switched = munger.switch_source(vp8(50, 900, 3), std::nullopt, kHz, 2 * kMs);
  CHECK_EQ(switched.picture_id, 9);
  CHECK_EQ(switched.frame_number, 40'003);
  const auto other_codec = munger.switch_source(h264(9, 65'535), std::nullopt, kHz, 3 * kMs);
  CHECK_EQ(other_codec.frame_number, 40'004);
  CHECK_EQ(munger.forward(h264(10, 1), false, 4 * kMs)->frame_number, 40'006);
  const auto back = munger.switch_source(vp8(60, 100, 500), std::nullopt, kHz, 5 * kMs);
  CHECK_EQ(back.picture_id, 10);  // picture ids go on from the last picture id
  CHECK_EQ(back.frame_number, 40'007);
}

TEST(vp9_patch_rewrites_picture_id_and_tl0) {
  Source source;
  const auto full = source.vp9(1, 300, 7);
  const auto patch = payload_patch(full, 0x7FFF, 255, 0);
  CHECK_EQ(patch.skip, 5);
  CHECK(std::ranges::equal(Bytes(patch.bytes).first(patch.size), test::hex("a8 ffff 22 ff")));
  const auto grown = payload_patch(source.vp9(2, 5, 7, false), 6, 8, 0);
  CHECK_EQ(grown.skip, 4);
  CHECK(std::ranges::equal(Bytes(grown.bytes).first(grown.size), test::hex("a8 8006 22 08")));
  const Data bare = test::rtp({.payload = test::hex("08 aabb")});
  Packet packet = test::packet_of(bare);
  packet.codec = Codec::kVp9;
  packet.payload = peek_vp9(packet.rtp.payload(), false);
  CHECK_EQ(payload_patch(packet, 1, 1, 1).skip, 0);
}
