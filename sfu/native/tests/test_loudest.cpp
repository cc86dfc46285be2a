// The loudest few of many voices through a worker: how many are forwarded, how soon a new one is, and that nothing of
// it can be heard as a gap. Taps and what leads outside get everyone.
#include <sys/socket.h>

#include <algorithm>
#include <initializer_list>
#include <map>
#include <memory>
#include <vector>

#include "check.h"
#include "worker_bench.h"

using namespace parley;
using test::Bench;
using test::Data;

namespace {

constexpr std::size_t kPeople = 20;
constexpr std::uint32_t kStage = 5;
constexpr std::uint32_t kViewer = 100;
constexpr int kLevelId = 1;

Data spoken(std::uint32_t count, std::uint32_t ssrc, bool is_loud) {
  return test::rtp({.pt = 111,
                    .seq = static_cast<std::uint16_t>(count),
                    .timestamp = count * 960U,
                    .ssrc = ssrc,
                    .extensions = {{kLevelId, {static_cast<std::uint8_t>(is_loud ? 0x80 | 30 : 80)}}},
                    .payload = Data(60, static_cast<std::uint8_t>(count))});
}

struct Room : Bench {
  std::vector<std::unique_ptr<test::Peer>> people;
  test::Peer viewer;
  std::uint32_t seq = 65'500;                        // numbers wrap on the way
  std::map<std::uint32_t, std::vector<Data>> heard;  // by outgoing ssrc

  explicit Room(std::uint32_t places) {
    ExtensionIds ids;
    ids.set(Extension::kAudioLevel, kLevelId);
    join(kViewer, viewer);
    for (std::uint32_t i = 0; i < kPeople; ++i) {
      people.push_back(std::make_unique<test::Peer>());
      join(1 + i, *people.back());
      CHECK_EQ(run(SetExtensions{1 + i, ids, false}), "");
      AddTrack track{200 + i, 1 + i, false, "a", {test::kOpus}, {{"", 0x1000 + i, 0}}, false, false};
      track.stage = kStage;
      CHECK_EQ(run(track), "");
      CHECK_EQ(forward(300 + i, 200 + i, kViewer, {}, 0x2000 + 2 * i), "");
    }
    CHECK_EQ(run(SetStage{0, kStage, places}), "");
  }
  static std::uint32_t ssrc_to_viewer(std::size_t who) { return static_cast<std::uint32_t>(0x2000 + 2 * who); }

  // 20 ms of everyone.
  void round(std::initializer_list<std::size_t> loud) {
    for (std::size_t i = 0; i < kPeople; ++i) {
      const bool is_loud = std::ranges::find(loud, i) != loud.end();
      receive_rtp(*people[i],
                  spoken(seq, static_cast<std::uint32_t>(0x1000 + i), is_loud && now / kMillisecond % 300 < 200));
    }
    ++seq;
    tick(20 * kMillisecond);
    viewer.collect();
    for (Data& packet : viewer.rtp) {
      heard[load_u32(packet, 8)].push_back(std::move(packet));
    }
    viewer.rtp.clear();
  }
  void run_for(TimeNs duration, std::initializer_list<std::size_t> loud) {
    for (const TimeNs end = now + duration; now < end;) {
      round(loud);
    }
  }
  using Bench::run;
};

}  // namespace

TEST(a_viewer_of_twenty_hears_the_three_who_speak) {
  Room room(3);
  room.run_for(kSecond, {4, 9, 17});
  room.heard.clear();
  room.run_for(kSecond, {4, 9, 17});
  CHECK_EQ(room.heard.size(), 3U);
  for (const std::size_t who : {4U, 9U, 17U}) {
    CHECK_EQ(room.heard[Room::ssrc_to_viewer(who)].size(), 50U);
  }
  CHECK(room.counter(Counter::drop_not_loudest) >= 17 * 50);
}

TEST(everyone_is_heard_without_a_limit) {
  Room room(0);
  room.run_for(200 * kMillisecond, {4});
  CHECK_EQ(room.heard.size(), kPeople);
  CHECK_EQ(room.counter(Counter::drop_not_loudest), 0);
}

TEST(who_speaks_up_is_heard_from_before_the_first_word_and_at_once) {
  Room room(3);
  room.run_for(2 * kSecond, {4, 9});
  while (room.now / kMillisecond % 300 != 0) {
    room.round({4, 9});
  }
  auto& words = room.heard[Room::ssrc_to_viewer(12)];
  CHECK(words.empty());
  const std::uint32_t first_word = room.seq;
  const TimeNs onset = room.now;
  while (words.empty() && room.now < onset + kSecond) {
    room.round({4, 9, 12});
  }
  CHECK(room.now - onset <= 100 * kMillisecond);
  // Every packet of the word is there, and what came just before it.
  std::vector<std::uint16_t> got;
  for (const Data& packet : words) {
    got.push_back(static_cast<std::uint16_t>(load_u32(packet, 4) - load_u32(words[0], 4)) / 960);
  }
  CHECK(words.size() >= 2);
  CHECK(words.size() >= room.seq - first_word);
  for (std::size_t i = 0; i < got.size(); ++i) {
    CHECK_EQ(got[i], i);
  }
  CHECK_EQ(parse_rtp(words.back())->payload()[0], static_cast<std::uint8_t>(room.seq - 1));
}

TEST(a_voice_that_comes_back_goes_on_without_a_hole_in_its_numbers) {
  Room room(3);
  room.run_for(kSecond, {0, 1, 2});
  room.run_for(3 * kSecond, {10, 11, 12});
  room.run_for(3 * kSecond, {0, 1, 2});
  const auto& packets = room.heard[Room::ssrc_to_viewer(1)];
  CHECK(packets.size() > 100);
  bool has_jump = false;
  for (std::size_t i = 1; i < packets.size(); ++i) {
    CHECK_EQ(static_cast<std::uint16_t>(load_u16(packets[i], 2) - load_u16(packets[i - 1], 2)), 1);
    // Its clock ran on meanwhile, as its sender's did: neither squeezed nor turned back.
    const std::uint32_t step = load_u32(packets[i], 4) - load_u32(packets[i - 1], 4);
    const auto source_step = static_cast<std::uint8_t>(packets[i].back() - packets[i - 1].back());
    CHECK_EQ(static_cast<std::uint8_t>(step / 960), source_step);
    CHECK_EQ(step % 960, 0U);
    has_jump = has_jump || step > 960;
  }
  CHECK(has_jump);
}

TEST(taps_and_what_leads_outside_get_everyone_once) {
  Room room(1);
  test::Peer guest;
  room.join(101, guest);
  room.gates.open(3, 1);
  CHECK_EQ(room.run(AddForward{900, 212, 101, 0x5000, 0, "0", {{Codec::kOpus, 100, -1}}, {3, 1}, false}), "");
  int ends[2] = {-1, -1};
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  const UniqueFd far(ends[1]);
  CHECK_EQ(room.run(AddSink{50, UniqueFd(ends[0])}), "");
  CHECK_EQ(room.run(AddTap{60, 212, 50, {3, 1}}), "");
  room.tick(kMillisecond);
  room.run_for(600 * kMillisecond, {4});
  CHECK(room.heard[Room::ssrc_to_viewer(12)].empty());
  room.run_for(600 * kMillisecond, {12});
  CHECK(!room.heard[Room::ssrc_to_viewer(12)].empty());
  guest.collect();
  CHECK_EQ(guest.rtp.size(), 60U);
  for (std::size_t i = 1; i < guest.rtp.size(); ++i) {
    CHECK_EQ(static_cast<std::uint16_t>(load_u16(guest.rtp[i], 2) - load_u16(guest.rtp[i - 1], 2)), 1);
  }
  std::size_t records = 0;
  for (Data datagram(65'536);;) {
    const ssize_t size = recv(far.get(), datagram.data(), datagram.size(), 0);
    if (size <= 0) {
      break;
    }
    for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
      at += datagram[at] + 256U * datagram[at + 1];
      ++records;
    }
  }
  CHECK_EQ(records, 60U);
  // The outside ends: the track is one of many again.
  CHECK_EQ(room.run(RemoveForward{900}), "");
  CHECK_EQ(room.run(RemoveTap{60}), "");
  room.run_for(600 * kMillisecond, {4});
  CHECK_EQ(room.run(SetForwardGate{312, {3, 1}}), "");
  room.heard.clear();
  room.run_for(200 * kMillisecond, {4});
  CHECK_EQ(room.heard[Room::ssrc_to_viewer(12)].size(), 10U);
}

TEST(a_muted_voice_gives_its_place_up_to_whoever_speaks) {
  Room room(1);
  room.run_for(kSecond, {4});
  CHECK_EQ(room.run(SetTrackEnabled{204, false}), "");
  room.heard.clear();
  room.run_for(2 * kSecond, {4, 7});
  CHECK(room.heard[Room::ssrc_to_viewer(4)].empty());
  CHECK(room.heard[Room::ssrc_to_viewer(7)].size() > 50);
  CHECK_EQ(room.run(RemoveTransport{8}), "");
  room.heard.clear();
  room.run_for(kSecond, {4, 9});
  CHECK_EQ(room.heard.size(), 1U);
}
