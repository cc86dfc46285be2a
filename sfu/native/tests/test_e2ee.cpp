// End-to-end encrypted tracks: nothing is read of payloads, and what leads outside is refused.
#include <sys/socket.h>

#include "check.h"
#include "codec_peek/codec_peek.h"
#include "loopback.h"

using namespace parley;
using test::Data;
using test::House;
using test::Peer;

namespace {

// What a VP8 parser would refuse, or take for a keyframe.
Data opaque_packet(std::uint16_t seq, std::uint32_t timestamp, bool marker = true) {
  return test::rtp(
      {.pt = 96, .marker = marker, .seq = seq, .timestamp = timestamp, .ssrc = 0x22, .payload = Data(100, 0xff)});
}

AddTrack encrypted(std::uint32_t track, std::uint32_t transport) {
  return AddTrack{track, transport, true, "v", {test::kVp8}, {{"", 0x22, 0x23}}, true, false, true};
}

}  // namespace

TEST(an_opaque_payload_tells_frames_by_header_alone) {
  CodecPeek peek;
  const Data first = opaque_packet(1, 3000, false);
  const Data second = opaque_packet(2, 3000);
  const Data third = opaque_packet(3, 6000);
  const auto look = [&](const Data& data) { return peek.peek_encrypted(*parse_rtp(data), {}); };
  const PayloadInfo a = look(first);
  CHECK(a.valid && a.is_opaque && a.frame_start && !a.frame_end && !a.keyframe_start);
  const PayloadInfo b = look(second);
  CHECK(!b.frame_start && b.frame_end);
  CHECK(look(third).frame_start);
  CHECK_EQ(a.picture.prefix_size, 0);
}

TEST(an_encrypted_track_is_forwarded_from_any_frame_and_a_keyframe_is_asked_for) {
  Peer publisher;
  Peer viewer;
  House house;
  house.join(1, publisher);
  house.join(2, viewer);
  CHECK_EQ(house.run(encrypted(10, 1)), "");
  CHECK_EQ(house.forward(20, 10, 2, 0x900), "");
  for (std::uint16_t seq = 1; seq <= 10; ++seq) {
    publisher.send_rtp(house.address(), opaque_packet(seq, seq * 3000U));
  }
  CHECK(test::until([&] {
    viewer.collect();
    return viewer.rtp.size() == 10;
  }));
  const Bytes payload = Bytes(viewer.rtp[3]).last(100);
  CHECK(std::ranges::all_of(payload, [](std::uint8_t byte) { return byte == 0xff; }));
  CHECK(test::until([&] { return house.counter("keyframe_requests_sent") >= 1; }));
}

TEST(taps_and_gated_forwards_of_an_encrypted_track_are_refused) {
  Peer publisher;
  Peer viewer;
  House house({}, 2);
  house.join(1, publisher);
  house.join(2, viewer, 1);
  house.run(encrypted(10, 1));
  int ends[2] = {-1, -1};
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  const UniqueFd far(ends[1]);
  house.run(AddSink{50, UniqueFd(ends[0])});
  house.engine->gates().open(5, 1);
  CHECK_EQ(house.run(AddTap{30, 10, 50, {5, 1}}), "e2ee");
  CHECK_EQ(house.forward(20, 10, 2, 0x900, {5, 1}), "e2ee");
  CHECK_EQ(house.forward(20, 10, 2, 0x900), "");
  CHECK_EQ(house.run(SetForwardGate{20, {5, 1}}), "e2ee");
  CHECK_EQ(house.run(SetForwardSource{20, 10, {5, 1}}), "e2ee");
  // The refusals left the forward as it was.
  publisher.send_rtp(house.address(0), opaque_packet(1, 3000));
  CHECK(test::until([&] {
    viewer.collect();
    return viewer.rtp.size() == 1;
  }));
}
