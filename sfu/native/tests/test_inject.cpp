// A local process injects a track by its end of a tap socket: a track like any other.
#include <sys/socket.h>

#include "check.h"
#include "injected_record.h"
#include "loopback.h"

using namespace parley;
using test::Data;
using test::House;
using test::Peer;

namespace {

void put_little(Data& out, std::uint64_t value, std::size_t size) {
  for (std::size_t byte = 0; byte < size; ++byte) {
    out.push_back(static_cast<std::uint8_t>(value >> (8 * byte)));
  }
}

Data record(TapKind kind, const Data& body, std::uint32_t ssrc = 0x11) {
  Data out;
  put_little(out, TapSink::kHeaderBytes + body.size(), 4);
  put_little(out, static_cast<std::uint64_t>(kind), 4);
  out.resize(32, 0);
  put_little(out, ssrc, 4);
  put_little(out, 0, 4);
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

struct Injected : House {
  UniqueFd far;

  explicit Injected(std::size_t workers = 1) : House({}, workers) {
    int ends[2] = {-1, -1};
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    far = UniqueFd(ends[1]);
    run(AddSink{50, UniqueFd(ends[0])});
  }
  void write(const Data& datagram) { CHECK(send(far.get(), datagram.data(), datagram.size(), 0) > 0); }
};

}  // namespace

TEST(an_injected_track_reaches_subscribers_on_every_worker) {
  Peer near;
  Peer away;
  Injected house(2);
  house.join(2, near, 0);
  house.join(3, away, 1);
  CHECK_EQ(house.run(AddInjectedTransport{0, 1, 50}), "");
  house.publish_audio(10, 1, 0x11);
  house.forward(20, 10, 2, 0x900);
  house.forward(21, 10, 3, 0x900);
  Data both = record(TapKind::kRtp, test::opus_packet(1, 0x11));
  const Data second = record(TapKind::kRtp, test::opus_packet(2, 0x11));
  both.insert(both.end(), second.begin(), second.end());
  house.write(both);
  for (Peer* viewer : {&near, &away}) {
    CHECK(test::until([&] {
      viewer->collect();
      return viewer->rtp.size() == 2;
    }));
  }
  CHECK_EQ(house.counter("injected"), 2);
}

TEST(an_injected_video_hears_wishes_for_keyframes) {
  Peer viewer;
  Injected house;
  house.join(2, viewer);
  house.run(AddInjectedTransport{0, 1, 50});
  house.publish_video(10, 1, 0x22);
  house.forward(20, 10, 2, 0x900);
  house.write(record(TapKind::kRtp, test::video_packet(1, 0x22, false)));
  Data wish(100);
  CHECK(test::until([&] { return recv(house.far.get(), wish.data(), wish.size(), 0) == 40; }));
  CHECK_EQ(wish[4], static_cast<std::uint8_t>(TapKind::kKeyframeWish));
  CHECK_EQ(wish[32], 0x22);
}

TEST(what_is_malformed_or_too_much_is_counted_and_the_rest_goes_on) {
  Peer viewer;
  Injected house;
  house.join(2, viewer);
  house.run(AddInjectedTransport{0, 1, 50});
  house.publish_audio(10, 1, 0x11);
  house.forward(20, 10, 2, 0x900);
  house.write({1, 2, 3});
  Data lying = record(TapKind::kRtp, test::opus_packet(1, 0x11));
  lying[0] = 0xff;
  house.write(lying);
  house.write(record(TapKind::kLost, Data(8)));
  house.write(record(TapKind::kRtp, Data(5)));
  house.write(record(TapKind::kSenderReport, Data(15)));
  house.write(record(TapKind::kRtp, test::opus_packet(1, 0x11)));
  CHECK(test::until([&] {
    viewer.collect();
    return viewer.rtp.size() == 1;
  }));
  CHECK_EQ(house.counter("drop_inject_malformed"), 4);
  CHECK_EQ(house.counter("drop_rtp_malformed"), 1);
  // 30 000 records at once: more than a second's share.
  Data many;
  for (int i = 0; i < 200; ++i) {
    const Data one = record(TapKind::kLost, {});
    many.insert(many.end(), one.begin(), one.end());
  }
  for (int i = 0; i < 150; ++i) {
    CHECK(test::until([&] { return send(house.far.get(), many.data(), many.size(), 0) > 0; }));
  }
  CHECK(test::until([&] { return house.counter("drop_inject_rate") > 1000; }));
}

TEST(injection_ends_with_its_transport_or_its_sink) {
  Injected house;
  CHECK_EQ(house.run(AddInjectedTransport{0, 1, 99}), "unknown id");
  CHECK_EQ(house.run(AddInjectedTransport{0, 1, 50}), "");
  CHECK_EQ(house.run(AddInjectedTransport{0, 2, 50}), "the sink feeds another transport");
  CHECK_EQ(house.run(RemoveTransport{1}), "");
  house.write(record(TapKind::kRtp, test::opus_packet(1, 0x11)));
  CHECK_EQ(house.run(AddInjectedTransport{0, 1, 50}), "");
  house.publish_audio(10, 1, 0x11);
  CHECK_EQ(house.run(RemoveSink{50}), "");
  CHECK_EQ(house.run(RemoveTransport{1}), "");
}
