// RED through a worker: as it came for whoever has it, its newest frame alone for everyone else and for taps, and its
// copies for what was lost on the way here.
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "check.h"
#include "codec_peek/red.h"
#include "worker_bench.h"

using namespace parley;
using test::Bench;
using test::Data;

namespace {

constexpr CodecEntry kRed{63, Codec::kRed, 48'000, -1};
constexpr std::uint32_t kSsrc = 0x11;

Data frame(std::uint16_t seq) { return Data{0xfc, static_cast<std::uint8_t>(seq), 0x01}; }

// A packet with a copy of the frame before.
Data red_packet(std::uint16_t seq) {
  const Data before = frame(static_cast<std::uint16_t>(seq - 1));
  const Data newest = frame(seq);
  Data payload = test::hex("ef 0f0003 6f");
  payload.insert(payload.end(), before.begin(), before.end());
  payload.insert(payload.end(), newest.begin(), newest.end());
  return test::rtp({.pt = 63, .seq = seq, .timestamp = seq * 960U, .ssrc = kSsrc, .payload = payload});
}

struct Room : Bench {
  test::Peer publisher;
  test::Peer with;
  test::Peer without;

  Room() {
    join(1, publisher);
    join(2, with);
    join(3, without);
    CHECK_EQ(run(AddTrack{10, 1, false, "a", {kRed, test::kOpus}, {{"", kSsrc, 0}}, false, false}), "");
    CHECK_EQ(run(AddForward{20, 10, 2, 0x900, 0, "0", {{Codec::kOpus, 96, -1}, {Codec::kRed, 97, -1}}, {}, false}), "");
    CHECK_EQ(run(AddForward{21, 10, 3, 0x900, 0, "0", {{Codec::kOpus, 100, -1}}, {}, false}), "");
  }
  void speak(Data packet) {
    receive_rtp(publisher, std::move(packet));
    tick();
    with.collect();
    without.collect();
  }
};

bool is_plain(const Data& packet, std::uint8_t pt, std::uint16_t seq) {
  const auto rtp = parse_rtp(packet);
  return rtp && rtp->pt == pt && std::ranges::equal(rtp->payload(), frame(seq));
}

}  // namespace

TEST(red_is_passed_on_under_the_subscribers_types_and_stripped_for_others) {
  Room room;
  for (std::uint16_t seq = 1; seq <= 5; ++seq) {
    room.speak(red_packet(seq));
  }
  CHECK_EQ(room.with.rtp.size(), 5U);
  CHECK_EQ(room.without.rtp.size(), 5U);
  // What the first packet brings of before the forward had its source is no part of it.
  CHECK(is_plain(room.with.rtp[0], 96, 1));
  for (std::uint16_t seq = 2; seq <= 5; ++seq) {
    const auto rtp = parse_rtp(room.with.rtp[seq - 1U]);
    CHECK_EQ(rtp->pt, 97);
    const auto red = parse_red(rtp->payload());
    CHECK(red && red->primary_pt == 96 && red->copies[0].pt == 96);
    CHECK(std::ranges::equal(red->copies[0].data, frame(static_cast<std::uint16_t>(seq - 1))));
  }
  for (std::uint16_t seq = 1; seq <= 5; ++seq) {
    CHECK(is_plain(room.without.rtp[seq - 1U], 100, seq));
  }
  // It is Opus that is told.
  CHECK_EQ(room.of<EncodingEvent>().at(0).codec, "opus");
  CHECK(room.of<CodecUnsupportedEvent>().empty());
}

TEST(a_packet_lost_before_red_is_filled_from_its_copy) {
  Room room;
  room.speak(red_packet(65'535));
  room.speak(red_packet(1));
  CHECK_EQ(room.without.rtp.size(), 3U);
  const auto first = load_u16(room.without.rtp[0], 2);
  for (std::uint16_t seq = 0; seq <= 1; ++seq) {
    const Data& packet = room.without.rtp[seq + 1U];
    CHECK(is_plain(packet, 100, seq));
    CHECK_EQ(load_u16(packet, 2), static_cast<std::uint16_t>(first + seq + 1));
    CHECK_EQ(load_u32(packet, 4) - load_u32(room.without.rtp[0], 4), seq * 960U - 65'535U * 960U);
  }
  CHECK_EQ(room.counter(Counter::red_recovered), 1);
  room.speak(red_packet(0));  // late, after all
  CHECK_EQ(room.without.rtp.size(), 3U);
  CHECK_EQ(room.counter(Counter::drop_rtp_duplicate), 1);
}

TEST(nothing_of_a_mute_comes_out_of_copies) {
  Room room;
  room.speak(red_packet(1));
  CHECK_EQ(room.run(SetTrackEnabled{10, false}), "");
  room.speak(red_packet(2));
  room.speak(red_packet(3));
  CHECK_EQ(room.run(SetTrackEnabled{10, true}), "");
  room.speak(red_packet(5));  // carries frame 4; what was muted is neither passed on nor recovered
  CHECK_EQ(room.without.rtp.size(), 2U);
  CHECK_EQ(room.with.rtp.size(), 2U);
  CHECK(is_plain(room.without.rtp[1], 100, 5));
  CHECK(is_plain(room.with.rtp[1], 96, 5));
  CHECK_EQ(room.counter(Counter::red_recovered), 0);
}

TEST(of_sound_the_copies_are_told_as_a_layer_of_their_own) {
  Room room;
  for (std::uint16_t seq = 1; seq <= 200; ++seq) {
    room.speak(red_packet(seq));
  }
  const auto told = room.of<LayersEvent>();
  CHECK(!told.empty());
  const auto& layers = told.back().layers;
  CHECK_EQ(layers.size(), 2U);
  CHECK_EQ(layers.at(0).temporal, 0);
  CHECK_EQ(layers.at(1).temporal, 1);
  // Of 23 bytes 8 are the copy and the headers of both.
  const double share = static_cast<double>(layers.at(0).bps) / layers.at(1).bps;
  CHECK(share > 0.95 * 15 / 23 && share < 1.05 * 15 / 23);
}

TEST(malformed_red_is_counted_and_dropped) {
  Room room;
  Data overrun = red_packet(1);
  overrun.resize(overrun.size() - 4);
  room.speak(overrun);
  // A frame that is of no codec of the track.
  room.speak(test::rtp({.pt = 63, .seq = 2, .ssrc = kSsrc, .payload = test::hex("05 aabb")}));
  CHECK(room.with.rtp.empty());
  CHECK(room.without.rtp.empty());
  CHECK_EQ(room.counter(Counter::drop_red_malformed), 2);
}

TEST(a_tap_gets_plain_opus) {
  Room room;
  int ends[2] = {-1, -1};
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  const UniqueFd far(ends[1]);
  CHECK_EQ(room.run(AddSink{50, UniqueFd(ends[0])}), "");
  room.gates.open(3, 1);
  CHECK_EQ(room.run(AddTap{60, 10, 50, {3, 1}}), "");
  room.speak(red_packet(1));
  Data datagram(4096);
  const ssize_t size = recv(far.get(), datagram.data(), datagram.size(), 0);
  CHECK(size > static_cast<ssize_t>(TapSink::kHeaderBytes));
  datagram.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  CHECK_EQ(datagram[36], static_cast<std::uint8_t>(Codec::kOpus));
  const Data body(datagram.begin() + TapSink::kHeaderBytes, datagram.end());
  CHECK(is_plain(body, 111, 1));
}
