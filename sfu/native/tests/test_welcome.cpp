// A subscriber who comes into a running call: what it is sent at once from the store, what it must not get, and when
// the publisher is asked for a keyframe instead.
#include <utility>
#include <vector>

#include "check.h"
#include "rtcp_build.h"
#include "rtp_view.h"
#include "worker_bench.h"

using namespace parley;
using test::Bench;
using test::Data;

namespace {

constexpr std::uint32_t kCamera = 11;
constexpr std::uint32_t kMic = 12;
constexpr std::uint32_t kForward = 30;
constexpr std::uint32_t kSsrc = 0x900;

// A publisher with a camera and a microphone, and a viewer without keys yet.
struct Call : Bench {
  test::Peer publisher;
  test::Peer viewer;
  std::uint16_t seq = 65'530;  // numbers wrap on the way

  Call() {
    join(1, publisher);
    video(kCamera, 1, 0x22);
    audio(kMic, 1, 0x11);
    CHECK_EQ(run(AddTransport{0, 2, {"ufrag2"}}), "");
  }
  void frame(bool is_key, TimeNs by = 10 * kMillisecond) {
    receive_rtp(publisher, test::video_packet(seq++, 0x22, is_key));
    tick(by);
  }
  void secure() {
    CHECK_EQ(run(BindPath{2, {.socket = 0, .remote = viewer.address()}, true}), "");
    CHECK_EQ(run(SetSrtp{2, &viewer.rx(), &viewer.rx(), *SrtpProfile::by_name("AEAD_AES_128_GCM")}), "");
  }
  // The numbers that the viewer got since the last look.
  std::vector<std::uint16_t> seen() {
    tick(0);
    viewer.collect();
    std::vector<std::uint16_t> numbers;
    for (const Data& packet : viewer.rtp) {
      numbers.push_back(load_u16(packet, 2));
    }
    viewer.rtp.clear();
    return numbers;
  }
  // Whether the publisher was asked for a keyframe since the last look.
  bool is_asked() {
    tick(0);
    publisher.collect();
    bool found = false;
    for (const Data& compound : publisher.rtcp) {
      RtcpReader reader(compound);
      while (const auto message = reader.next()) {
        found = found || message->kind == RtcpKind::kPli;
      }
    }
    publisher.rtcp.clear();
    return found;
  }
};

bool is_unbroken(const std::vector<std::uint16_t>& numbers) {
  for (std::size_t i = 1; i < numbers.size(); ++i) {
    if (static_cast<std::uint16_t>(numbers[i] - numbers[i - 1]) != 1) {
      return false;
    }
  }
  return true;
}

}  // namespace

TEST(with_the_keys_the_picture_comes_from_its_last_keyframe_on) {
  Call call;
  call.frame(true);
  call.frame(false);
  call.frame(true);
  for (int i = 0; i < 10; ++i) {
    call.frame(false);
  }
  CHECK_EQ(call.forward(kForward, kCamera, 2), "");
  CHECK(!call.is_asked());
  call.secure();
  std::vector<std::uint16_t> numbers = call.seen();
  CHECK_EQ(numbers.size(), 11U);
  call.frame(false);
  const auto next = call.seen();
  CHECK_EQ(next.size(), 1U);
  numbers.insert(numbers.end(), next.begin(), next.end());
  CHECK(is_unbroken(numbers));
  CHECK(!call.is_asked());
  CHECK_EQ(call.counter(Counter::forwards_welcomed), 1);
}

TEST(a_forward_that_is_added_to_a_connected_viewer_begins_at_once) {
  Call call;
  call.secure();
  call.frame(true);
  call.frame(false);
  CHECK_EQ(call.forward(kForward, kCamera, 2), "");
  CHECK_EQ(call.seen().size(), 2U);
}

TEST(a_forward_that_is_added_paused_begins_when_it_is_let_go) {
  Call call;
  call.secure();
  call.frame(true);
  call.frame(false);
  CHECK_EQ(call.run(AddForward{kForward, kCamera, 2, kSsrc, 0, "0", {{Codec::kVp8, 120, -1}}, {}, true}), "");
  CHECK(call.seen().empty());
  CHECK_EQ(call.run(SetForward{.forward = kForward, .paused = false, .spatial = -1, .temporal = -1}), "");
  CHECK_EQ(call.seen().size(), 2U);
}

TEST(what_waits_for_the_batch_goes_out_once) {
  Call call;
  test::Peer other;
  call.join(3, other);
  CHECK_EQ(call.forward(kForward + 1, kCamera, 3), "");
  call.secure();
  call.frame(true);
  call.receive_rtp(call.publisher, test::video_packet(call.seq++, 0x22, false));
  CHECK_EQ(call.forward(kForward, kCamera, 2), "");
  const auto numbers = call.seen();
  CHECK_EQ(numbers.size(), 2U);
  CHECK(is_unbroken(numbers));
}

TEST(what_was_sent_from_the_store_is_repaired) {
  Call call;
  call.frame(true);
  call.frame(false);
  CHECK_EQ(call.forward(kForward, kCamera, 2), "");
  call.secure();
  const auto numbers = call.seen();
  Data nack(64);
  Writer writer(nack);
  append_receiver_report(writer, 7, {});
  append_nack(writer, 7, kSsrc, std::vector<std::uint16_t>{numbers[0]});
  nack.resize(writer.size());
  call.tick(20 * kMillisecond);
  call.receive_rtcp(call.viewer, nack);
  call.tick();
  call.viewer.collect();
  CHECK_EQ(call.viewer.rtp.size(), 1U);
  CHECK_EQ(load_u32(call.viewer.rtp.at(0), 8), kSsrc + 1);
  CHECK_EQ(load_u16(call.viewer.rtp.at(0), 12), numbers[0]);
}

TEST(an_old_keyframe_is_not_sent_again_but_asked_for) {
  Call call;
  call.frame(true);
  for (int i = 0; i < 11; ++i) {
    call.frame(false, 100 * kMillisecond);
  }
  CHECK_EQ(call.forward(kForward, kCamera, 2), "");
  CHECK(call.is_asked());  // before the keys are there
  call.secure();
  CHECK(call.seen().empty());
  call.frame(true);
  CHECK_EQ(call.seen().size(), 1U);
}

TEST(a_keyframe_that_would_be_old_when_the_keys_come_is_asked_for_meanwhile) {
  Call call;
  call.frame(true);
  call.frame(false, 200 * kMillisecond);
  CHECK_EQ(call.forward(kForward, kCamera, 2), "");
  CHECK(call.is_asked());
}

TEST(a_picture_with_a_hole_is_not_begun) {
  Call call;
  call.frame(true);
  ++call.seq;
  call.frame(false);
  CHECK_EQ(call.forward(kForward, kCamera, 2), "");
  call.secure();
  CHECK(call.seen().empty());
  CHECK(call.is_asked());
}

TEST(a_picture_of_too_many_packets_is_not_begun) {
  Call call;
  call.frame(true, 0);
  for (int i = 0; i < 300; ++i) {
    call.frame(false, kMillisecond / 2);
  }
  CHECK_EQ(call.forward(kForward, kCamera, 2), "");
  call.secure();
  CHECK(call.seen().empty());
}

TEST(what_a_muted_camera_showed_before_is_not_sent) {
  Call call;
  call.frame(true);
  call.frame(false);
  CHECK_EQ(call.run(SetTrackEnabled{kCamera, false}), "");
  CHECK_EQ(call.forward(kForward, kCamera, 2), "");
  call.secure();
  CHECK(call.seen().empty());
  CHECK_EQ(call.run(SetTrackEnabled{kCamera, true}), "");
  call.frame(false);
  CHECK(call.seen().empty());
}

TEST(what_a_newcomer_is_sent_at_once_is_spread_over_time_and_numbered_for_feedback) {
  Call call;
  constexpr std::size_t kPackets = 60;
  for (std::size_t packet = 0; packet < kPackets; ++packet) {
    call.frame(packet == 0, kMillisecond);
  }
  ExtensionIds ids;
  ids.set(Extension::kTwcc, 3);
  CHECK_EQ(call.run(SetExtensions{2, ids, true}), "");
  CHECK_EQ(call.forward(kForward, kCamera, 2), "");
  call.secure();
  call.tick(0);
  call.viewer.collect();
  CHECK(!call.viewer.rtp.empty());
  CHECK(call.viewer.rtp.size() < kPackets / 2);
  for (int tick = 0; tick < 200; ++tick) {
    call.tick(2 * kMillisecond);
  }
  call.viewer.collect();
  CHECK_EQ(call.viewer.rtp.size(), kPackets);
  for (std::size_t at = 0; at < call.viewer.rtp.size(); ++at) {
    const auto view = parse_rtp(call.viewer.rtp[at]);
    CHECK_EQ(read_twcc_seq(*view, read_extensions(*view, ids)).value_or(0xffff), at);
  }
}

TEST(more_newcomers_than_may_wait_at_once_are_sent_everything_all_the_same) {
  Call call;
  constexpr std::size_t kPackets = 240;
  constexpr std::size_t kNewcomers = Departures::kMaxHeld / kPackets + 5;
  for (std::size_t packet = 0; packet < kPackets; ++packet) {
    call.frame(packet == 0, kMillisecond);
  }
  ExtensionIds ids;
  ids.set(Extension::kTwcc, 3);
  std::vector<test::Peer> newcomers(kNewcomers);
  for (std::uint32_t index = 0; index < kNewcomers; ++index) {
    call.join(100 + index, newcomers[index]);
    CHECK_EQ(call.run(SetExtensions{100 + index, ids, true}), "");
    CHECK_EQ(call.forward(200 + index, kCamera, 100 + index), "");
    call.tick(0);
    newcomers[index].collect();
  }
  CHECK(call.counter(Counter::rtp_unpaced) > 0);
  for (int tick = 0; tick < 300; ++tick) {
    call.tick(2 * kMillisecond);
    for (test::Peer& newcomer : newcomers) {
      newcomer.collect();
    }
  }
  for (const test::Peer& newcomer : newcomers) {
    CHECK_EQ(newcomer.rtp.size(), kPackets);
  }
  CHECK_EQ(call.counter(Counter::drop_pacer_full), 0);
}

TEST(outside_the_room_nothing_goes_from_before_the_gate_was_open) {
  Call call;
  call.secure();
  call.frame(true);
  call.frame(false);
  call.receive_rtp(call.publisher, test::opus_packet(1, 0x11));
  call.tick();
  CHECK_EQ(call.forward(kForward, kCamera, 2, GatePosition{3, 1}), "");
  CHECK_EQ(call.forward(kForward + 1, kMic, 2, GatePosition{3, 1}, kSsrc + 2), "");
  CHECK(call.seen().empty());
  call.gates.open(3, 1);
  call.frame(false);
  CHECK(call.seen().empty());
  call.frame(true);
  CHECK_EQ(call.seen().size(), 1U);
}

TEST(a_gate_that_is_open_already_lets_nothing_of_before_through) {
  Call call;
  call.gates.open(3, 1);
  call.frame(true);
  call.receive_rtp(call.publisher, test::opus_packet(1, 0x11));
  call.tick();
  CHECK_EQ(call.forward(kForward, kCamera, 2, GatePosition{3, 1}), "");
  CHECK_EQ(call.forward(kForward + 1, kMic, 2, GatePosition{3, 1}, kSsrc + 2), "");
  call.frame(false);
  call.secure();
  CHECK(call.seen().empty());
  CHECK(call.is_asked());
}

TEST(outside_the_room_a_viewer_begins_with_what_came_while_the_gate_was_open) {
  Call call;
  call.frame(true);
  call.gates.open(3, 1);
  CHECK_EQ(call.forward(kForward, kCamera, 2, GatePosition{3, 1}), "");
  call.tick();
  call.frame(true);
  call.frame(false);
  call.secure();
  CHECK_EQ(call.seen().size(), 2U);
  // The gate moved on: what came under the former grant stays where it is.
  call.gates.close(3, 2);
  call.gates.open(3, 3);
  CHECK_EQ(call.run(SetForwardGate{kForward, GatePosition{3, 3}}), "");
  call.frame(false);
  CHECK(call.seen().empty());
}

TEST(a_gate_that_closed_before_the_keys_came_sends_nothing_of_before) {
  Call call;
  call.gates.open(3, 1);
  CHECK_EQ(call.forward(kForward, kCamera, 2, GatePosition{3, 1}), "");
  call.tick();
  call.frame(true);
  call.gates.close(3, 2);
  call.secure();
  CHECK(call.seen().empty());
  call.gates.open(3, 3);
  CHECK_EQ(call.run(SetForwardGate{kForward, GatePosition{3, 3}}), "");
  call.tick();
  CHECK(call.seen().empty());
}

TEST(of_sound_the_newest_packet_comes_with_the_keys) {
  Call call;
  for (std::uint16_t number = 1; number <= 5; ++number) {
    call.receive_rtp(call.publisher, test::opus_packet(number, 0x11));
    call.tick(20 * kMillisecond);
  }
  CHECK_EQ(call.forward(kForward, kMic, 2), "");
  call.secure();
  std::vector<std::uint16_t> numbers = call.seen();
  CHECK_EQ(numbers.size(), 1U);
  call.receive_rtp(call.publisher, test::opus_packet(6, 0x11));
  const auto next = call.seen();
  numbers.insert(numbers.end(), next.begin(), next.end());
  CHECK_EQ(numbers.size(), 2U);
  CHECK(is_unbroken(numbers));
}

TEST(sound_from_before_a_pause_is_not_sent) {
  Call call;
  call.receive_rtp(call.publisher, test::opus_packet(1, 0x11));
  call.tick(200 * kMillisecond);
  CHECK_EQ(call.forward(kForward, kMic, 2), "");
  call.secure();
  CHECK(call.seen().empty());
}

TEST(of_a_simulcast_camera_the_wanted_encoding_is_begun) {
  Call call;
  call.secure();
  CHECK_EQ(call.run(AddTrack{13, 1, true, "s", {test::kVp8}, {{"q", 0x31, 0}, {"h", 0x32, 0}}, true, false}), "");
  for (const std::uint32_t ssrc : {0x31U, 0x32U}) {
    call.receive_rtp(call.publisher, test::video_packet(1, ssrc, true));
    call.receive_rtp(call.publisher, test::video_packet(2, ssrc, false));
  }
  call.receive_rtp(call.publisher, test::video_packet(3, 0x31, false));
  call.tick();
  const auto add = [&call](std::uint32_t id, int spatial) {
    const std::uint32_t ssrc = 0x1000 + 2 * id;
    CHECK_EQ(call.run(AddForward{id, 13, 2, ssrc, 0, "0", {{Codec::kVp8, 120, -1}}, {}, true}), "");
    CHECK_EQ(call.run(SetForward{.forward = id, .paused = false, .spatial = spatial, .temporal = -1}), "");
  };
  add(40, 0);
  CHECK_EQ(call.seen().size(), 3U);
  add(41, 1);
  CHECK_EQ(call.seen().size(), 2U);
}

TEST(a_long_welcome_is_spread_for_a_viewer_whose_path_is_not_known) {
  Call call;
  ExtensionIds ids;
  ids.set(Extension::kTwcc, 5);
  CHECK_EQ(call.run(SetExtensions{2, ids, true}), "");
  for (int i = 0; i < 100; ++i) {
    Data packet = test::video_packet(call.seq++, 0x22, i == 0);
    packet.resize(1100);
    call.receive_rtp(call.publisher, packet);
    call.tick(2 * kMillisecond);
  }
  CHECK_EQ(call.forward(kForward, kCamera, 2), "");
  call.secure();
  std::vector<std::uint16_t> numbers = call.seen();
  CHECK(!numbers.empty());
  CHECK(numbers.size() < 20);
  for (int i = 0; i < 500; ++i) {
    if (i < 50) {
      call.receive_rtp(call.publisher, test::video_packet(call.seq++, 0x22, false));
    }
    call.tick(2 * kMillisecond);
    const auto more = call.seen();
    numbers.insert(numbers.end(), more.begin(), more.end());
  }
  CHECK_EQ(numbers.size(), 150U);
  CHECK(is_unbroken(numbers));
}

TEST(a_long_keyframe_goes_out_once_though_it_fills_the_batch) {
  Call call;
  call.secure();
  CHECK_EQ(call.forward(kForward, kCamera, 2), "");
  for (int i = 0; i < 120; ++i) {
    call.receive_rtp(call.publisher, test::video_packet(call.seq++, 0x22, i == 0));
  }
  const auto numbers = call.seen();
  CHECK_EQ(numbers.size(), 120U);
  CHECK(is_unbroken(numbers));
}
