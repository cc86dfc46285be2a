#include "rtp_write.h"

#include <array>

#include "builders.h"
#include "check.h"

using namespace parley;
using test::Data;
using test::hex;
using test::packet_of;
using test::rtp;

namespace {

ExtensionIds receive_ids() {
  ExtensionIds ids;
  for (std::uint8_t i = 0; i < 14; ++i) {
    ids.set(static_cast<Extension>(i), static_cast<std::uint8_t>(i + 1));
  }
  return ids;
}

ExtensionIds send_ids(std::uint8_t first = 14) {
  ExtensionIds ids;
  for (std::uint8_t i = 0; i < 14; ++i) {
    ids.set(static_cast<Extension>(i), static_cast<std::uint8_t>(first - i));
  }
  return ids;
}

struct Written {
  std::array<std::uint8_t, 2048> bytes{};
  std::size_t size = 0;
  RtpView view;
  ExtensionTable extensions;
};

// `room`: size of the output.
Written write(const Packet& packet, const ExtensionIds& ids, std::string_view mid, const RtpRewrite& rewrite,
              const PayloadPatch& patch = {}, std::size_t room = 2048) {
  Written written;
  ExtensionPlan plan;
  plan.build(packet, ids);
  written.size =
      write_rtp(packet, HeaderTemplate(ids, mid), plan, rewrite, patch, MutableBytes(written.bytes).first(room));
  if (const auto view = parse_rtp(Bytes(written.bytes).first(written.size))) {
    written.view = *view;
    written.extensions = read_extensions(*view, ids);
  }
  return written;
}

std::string_view value(const Written& written, Extension extension) {
  return as_text(written.extensions.get(written.view, extension));
}

constexpr RtpRewrite kRewrite{.ssrc = 0xBEEF,
                              .timestamp = 777,
                              .abs_send_time = 0x123456,
                              .seq = 4321,
                              .twcc_seq = 99,
                              .pt = 100,
                              .marker = true};

}  // namespace

TEST(header_is_rewritten_and_payload_kept) {
  const auto data = rtp({.pt = 96, .seq = 1, .csrcs = 3, .payload = {1, 2, 3, 4}, .padding = 9});
  const auto written = write(packet_of(data), {}, "", kRewrite);
  CHECK_EQ(written.size, 16U);
  CHECK(std::ranges::equal(Bytes(written.bytes).first(16), hex("80e4 10e1 00000309 0000beef 01020304")));
}

TEST(own_extensions_are_written_under_the_subscribers_ids) {
  const auto data = rtp({.extensions = {{1, {'o', 'l', 'd'}}, {4, {0, 1}}, {5, {9, 9, 9}}}});
  const auto written = write(packet_of(data, receive_ids()), send_ids(), "42", kRewrite);
  CHECK_EQ(value(written, Extension::kMid), "42");
  CHECK_EQ(*read_twcc_seq(written.view, written.extensions), 99);
  CHECK(std::ranges::equal(written.extensions.get(written.view, Extension::kAbsSendTime), hex("123456")));
  CHECK_EQ(written.view.extension_profile, 0xBEDE);
}

TEST(pass_through_elements_keep_their_bytes_and_change_their_ids) {
  const auto data = rtp({.extensions = {{7, {0x85}}, {8, {2}}, {9, {1, 2, 3}}, {10, {4, 5, 6}}, {2, {'h', 'i'}}}});
  const auto written = write(packet_of(data, receive_ids()), send_ids(), "1", kRewrite);
  CHECK_EQ(read_audio_level(written.view, written.extensions)->dbov, 5);
  CHECK(std::ranges::equal(written.extensions.get(written.view, Extension::kVideoOrientation), hex("02")));
  CHECK(std::ranges::equal(written.extensions.get(written.view, Extension::kDependencyDescriptor), hex("010203")));
  CHECK(std::ranges::equal(written.extensions.get(written.view, Extension::kPlayoutDelay), hex("040506")));
}

TEST(the_publishers_own_extensions_are_not_passed_on) {
  ExtensionIds ids = receive_ids();
  ids.set(Extension::kLayersAllocation, 100);
  ExtensionIds outgoing = send_ids();
  outgoing.set(Extension::kLayersAllocation, 101);
  const auto data =
      rtp({.extensions = {{2, {'r'}}, {3, {'q'}}, {6, {1, 2, 3}}, {100, {1}}, {77, {5}}}, .two_byte = true});
  const auto written = write(packet_of(data, ids), outgoing, "1", kRewrite);
  for (const auto extension : {Extension::kRid, Extension::kRrid, Extension::kToffset, Extension::kLayersAllocation}) {
    CHECK(!written.extensions.has(extension));
  }
}

TEST(extensions_that_the_subscriber_did_not_negotiate_are_left_out) {
  ExtensionIds outgoing;
  outgoing.set(Extension::kTwcc, 3);
  const auto data = rtp({.extensions = {{7, {0x85}}, {9, {1, 2, 3}}}});
  const auto written = write(packet_of(data, receive_ids()), outgoing, "1", kRewrite);
  CHECK_EQ(written.view.extension_size, 4);
  CHECK_EQ(*read_twcc_seq(written.view, written.extensions), 99);
}

TEST(a_long_element_turns_the_whole_packet_to_the_two_byte_form) {
  const Data descriptor(100, 0xDD);
  const auto data = rtp({.extensions = {{7, {0x85}}, {9, descriptor}}, .two_byte = true});
  const auto written = write(packet_of(data, receive_ids()), send_ids(), "1", kRewrite);
  CHECK(written.view.is_two_byte_form());
  CHECK_EQ(value(written, Extension::kMid), "1");
  CHECK_EQ(*read_twcc_seq(written.view, written.extensions), 99);
  CHECK(std::ranges::equal(written.extensions.get(written.view, Extension::kDependencyDescriptor), descriptor));
}

TEST(high_ids_take_the_two_byte_form) {
  const auto data = rtp({.extensions = {{7, {0x85}}}});
  const auto written = write(packet_of(data, receive_ids()), send_ids(40), "mid", kRewrite);
  CHECK(written.view.is_two_byte_form());
  CHECK_EQ(value(written, Extension::kMid), "mid");
  CHECK_EQ(read_audio_level(written.view, written.extensions)->dbov, 5);
}

TEST(without_extensions_there_is_no_extension_bit) {
  const auto data = rtp({.extensions = {{7, {0x85}}}});
  const auto written = write(packet_of(data, receive_ids()), {}, "1", kRewrite);
  CHECK_EQ(written.bytes[0], 0x80);
  CHECK_EQ(written.size, 15U);
}

TEST(every_mid_length_pads_to_a_word) {
  const auto data = rtp();
  for (std::size_t size = 0; size <= kMaxMidSize; ++size) {
    const std::string_view mid = std::string_view("0123456789abcdef").substr(0, size);
    const auto written = write(packet_of(data), send_ids(), mid, kRewrite);
    CHECK_EQ(value(written, Extension::kMid), mid);
    CHECK_EQ(written.view.extension_size % 4, 0);
    CHECK(std::ranges::equal(written.view.payload(), hex("aabbcc")));
  }
  const auto too_long = write(packet_of(data), send_ids(), "0123456789abcdefg", kRewrite);
  CHECK(!too_long.extensions.has(Extension::kMid));
}

TEST(payload_patch_replaces_the_beginning) {
  const auto data = rtp({.payload = {1, 2, 3, 4}});
  PayloadPatch patch{.skip = 2, .size = 3};
  patch.bytes = {0xA, 0xB, 0xC};
  const auto written = write(packet_of(data), {}, "", kRewrite, patch);
  CHECK(std::ranges::equal(written.view.payload(), hex("0a0b0c0304")));
  patch.skip = 5;
  CHECK_EQ(write(packet_of(data), {}, "", kRewrite, patch).size, 0U);
}

TEST(rtx_puts_the_original_number_before_the_payload) {
  const auto data = rtp({.payload = {1, 2, 3}});
  RtpRewrite rewrite = kRewrite;
  rewrite.original_seq = 0;
  const auto written = write(packet_of(data), send_ids(), "1", rewrite);
  CHECK(std::ranges::equal(written.view.payload(), hex("0000010203")));
}

TEST(too_little_room_writes_nothing) {
  const auto data = rtp({.payload = Data(100, 1)});
  const auto full = write(packet_of(data), send_ids(), "1", kRewrite);
  for (std::size_t room = 0; room < full.size; room += 7) {
    const auto written = write(packet_of(data), send_ids(), "1", kRewrite, {}, room);
    CHECK_EQ(written.size, 0U);
    CHECK(std::ranges::all_of(written.bytes, [](auto byte) { return byte == 0; }));
  }
  CHECK_EQ(write(packet_of(data), send_ids(), "1", kRewrite, {}, full.size).size, full.size);
}

TEST(elements_beyond_the_plans_room_are_left_out_whole) {
  ExtensionIds ids = receive_ids();
  const auto data = rtp({.extensions = {{9, Data(250, 1)}, {13, Data(100, 2)}, {12, Data(20, 3)}}, .two_byte = true});
  ExtensionPlan plan;
  plan.build(packet_of(data, ids), ids);
  CHECK(plan.elements().size() <= ExtensionPlan::kCapacity);
  const auto written = write(packet_of(data, ids), ids, "1", kRewrite);
  CHECK_EQ(written.extensions.get(written.view, Extension::kDependencyDescriptor).size(), 250U);
}

TEST(frame_number_is_patched_into_the_dependency_descriptor) {
  // Behind a longer element, so that its place is not the first.
  const Data data = rtp({.extensions = {{7, hex("aa")}, {9, hex("c1 1234 99")}}});
  RtpRewrite rewrite = kRewrite;
  rewrite.frame_number = 0xABCD;
  const Written written = write(packet_of(data, receive_ids()), send_ids(), "mid", rewrite);
  const Bytes descriptor = written.extensions.get(written.view, Extension::kDependencyDescriptor);
  CHECK(std::ranges::equal(descriptor, hex("c1 abcd 99")));
  CHECK(std::ranges::equal(written.extensions.get(written.view, Extension::kAudioLevel), hex("aa")));
  const Written untouched = write(packet_of(data, receive_ids()), send_ids(), "mid", kRewrite);
  CHECK(std::ranges::equal(untouched.extensions.get(untouched.view, Extension::kDependencyDescriptor),
                           hex("c1 1234 99")));
}

TEST(planner_shares_a_plan_between_equal_mappings) {
  const auto data = rtp({.extensions = {{7, {0x85}}}});
  const auto packet = packet_of(data, receive_ids());
  const ExtensionIds a = send_ids();
  const ExtensionIds same = send_ids();
  ExtensionPlanner planner;
  planner.start(packet);
  const auto* first = &planner.plan(a);
  CHECK_EQ(&planner.plan(same), first);
  std::array<ExtensionIds, 8> others;
  for (std::uint8_t i = 0; i < others.size(); ++i) {
    others[i] = send_ids(static_cast<std::uint8_t>(30 + i));
    const auto& plan = planner.plan(others[i]);
    CHECK_EQ(plan.elements()[0], others[i].id(Extension::kAudioLevel));
  }
  CHECK_EQ(planner.plan(a).elements()[0] >> 4, a.id(Extension::kAudioLevel));
}

TEST(abs_send_time_is_6_18_fixed_point) {
  CHECK_EQ(to_abs_send_time(0), 0U);
  CHECK_EQ(to_abs_send_time(kSecond), 1U << 18);
  CHECK_EQ(to_abs_send_time(64 * kSecond), 0U);
  CHECK_EQ(to_abs_send_time(kSecond / 2), 1U << 17);
}
