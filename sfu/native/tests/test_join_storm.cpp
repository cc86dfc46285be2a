// A thousand subscribers of one video within a second: the publisher is asked for two keyframes a second at most, lost
// requests included, and in the end everyone has had one.
#include <set>
#include <vector>

#include "check.h"
#include "worker_bench.h"

using namespace parley;
using test::Bench;
using test::Data;

namespace {

constexpr std::uint32_t kJoins = 1000;
constexpr std::uint32_t kPeers = 4;

struct Storm : Bench {
  test::Peer publisher;
  test::Peer viewers[kPeers];
  std::uint16_t seq = 0;
  std::vector<TimeNs> asked;
  std::set<std::uint32_t> served;  // forwards, by their ssrc
  TimeNs answer_at = kNever;
  bool loses_next = false;
  bool answers = true;

  Storm() {
    join(1, publisher);
    for (std::uint32_t i = 0; i < kPeers; ++i) {
      join(2 + i, viewers[i]);
    }
    video(11, 1, 0x22);
  }
  void add(std::uint32_t index) {
    CHECK_EQ(run(AddForward{
                 100 + index, 11, 2 + index % kPeers, 0x10000 + index, 0, "0", {{Codec::kVp8, 120, -1}}, {}, false}),
             "");
  }
  // 10 ms. The publisher sends a frame, a keyframe 80 ms after it was asked for one, unless the request is lost.
  void step() {
    const bool is_key = now >= answer_at;
    answer_at = is_key ? kNever : answer_at;
    receive_rtp(publisher, test::video_packet(++seq, 0x22, is_key));
    tick();
    publisher.collect();
    for (const Data& compound : publisher.rtcp) {
      RtcpReader reader(compound);
      while (const auto message = reader.next()) {
        if (message->kind == RtcpKind::kPli) {
          asked.push_back(now);
          if (answers && !loses_next && answer_at == kNever) {
            answer_at = now + 80 * kMillisecond;
          }
          loses_next = false;
        }
      }
    }
    publisher.rtcp.clear();
    for (test::Peer& viewer : viewers) {
      viewer.collect();
      for (const Data& packet : viewer.rtp) {
        served.insert(load_u32(packet, 8));
      }
      viewer.rtp.clear();
    }
  }
};

}  // namespace

TEST(everyone_gets_a_keyframe_and_the_publisher_two_requests_a_second) {
  Storm storm;
  storm.step();
  storm.loses_next = true;  // the very first request does not arrive
  const TimeNs start = storm.now;
  for (std::uint32_t index = 0; index < kJoins; ++index) {
    storm.add(index);
    if (index % 10 == 9) {
      storm.step();
    }
  }
  while (storm.served.size() < kJoins && storm.now < start + 10 * kSecond) {
    storm.step();
  }
  CHECK_EQ(storm.served.size(), kJoins);
  CHECK(storm.now - start <= 2 * kSecond);
  CHECK(storm.asked.size() <= 4);
  for (std::size_t i = 2; i < storm.asked.size(); ++i) {
    CHECK(storm.asked[i] - storm.asked[i - 2] >= kSecond - 20 * kMillisecond);
  }
}

TEST(a_publisher_that_ignores_requests_is_not_flooded_however_many_wait) {
  Storm storm;
  storm.answers = false;
  storm.step();
  for (std::uint32_t index = 0; index < 100; ++index) {
    storm.add(index);
  }
  for (int i = 0; i < 1000; ++i) {
    storm.step();
  }
  CHECK(storm.served.empty());
  CHECK(storm.asked.size() <= 8);
}
