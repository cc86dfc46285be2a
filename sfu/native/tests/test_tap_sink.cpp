#include "tap_sink.h"

#include <sys/socket.h>

#include <utility>
#include <vector>

#include "builders.h"
#include "check.h"

using namespace parley;
using test::Data;

namespace {

std::pair<UniqueFd, UniqueFd> make_pair() {
  int ends[2] = {-1, -1};
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Data read_one(int fd) {
  Data data(70'000);
  const ssize_t size = recv(fd, data.data(), data.size(), MSG_DONTWAIT);
  data.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return data;
}

}  // namespace

TEST(a_record_is_forty_bytes_and_its_body_little_endian) {
  auto [near, far] = make_pair();
  TapSink sink(std::move(near));
  const Data body = {0xAA, 0xBB};
  sink.append(TapRecord{.kind = TapKind::kRtp,
                        .flags = kTapKeyframe | kTapRepaired,
                        .encoding_index = 2,
                        .tap = 0x01020304,
                        .gate_slot = 5,
                        .gate_version = 0x0102030405060708,
                        .arrival_ns = 9,
                        .ssrc = 0x11223344,
                        .codec = Codec::kVp8},
              body);
  TapSink::Loss loss;
  CHECK(sink.flush(loss));
  CHECK(read_one(far.get()) == test::hex("2a000000 01 03 0200 04030201 05000000 0807060504030201 0900000000000000"
                                         "44332211 03000000 aabb"));
}

TEST(records_are_gathered_into_one_datagram) {
  auto [near, far] = make_pair();
  TapSink sink(std::move(near));
  for (int i = 0; i < 3; ++i) {
    sink.append(TapRecord{}, Data(100, 1));
  }
  TapSink::Loss loss;
  CHECK(sink.flush(loss));
  CHECK(sink.is_empty());
  CHECK_EQ(read_one(far.get()).size(), 3U * 140);
  CHECK_EQ(read_one(far.get()).size(), 0U);
}

TEST(a_batch_holds_no_more_than_a_datagram) {
  auto [near, far] = make_pair();
  TapSink sink(std::move(near));
  std::size_t count = 0;
  while (sink.has_room(1460)) {
    sink.append(TapRecord{}, Data(1460, 1));
    ++count;
  }
  CHECK_EQ(count, TapSink::kMaxDatagram / 1500);
  TapSink::Loss loss;
  CHECK(sink.flush(loss));
}

TEST(a_full_socket_drops_the_batch_and_says_whose_it_was) {
  auto [near, far] = make_pair();
  TapSink sink(std::move(near));
  TapSink::Loss loss;
  bool is_sent = true;
  for (int round = 0; round < 1000 && is_sent; ++round) {
    while (sink.has_room(1460)) {
      sink.append(TapRecord{.tap = 7}, Data(1460, 1));
    }
    is_sent = sink.flush(loss);
  }
  CHECK(!is_sent);
  CHECK(sink.state() == TapSink::State::kOpen);
  std::size_t records = 0;
  sink.for_each_record(loss.bytes, [&](std::uint32_t tap, TapKind kind, std::uint64_t) {
    CHECK_EQ(tap, 7U);
    CHECK(kind == TapKind::kRtp);
    ++records;
  });
  CHECK_EQ(records, TapSink::kMaxDatagram / 1500);
}

TEST(a_lost_notice_that_is_lost_hands_its_count_back) {
  auto [near, far] = make_pair();
  TapSink sink(std::move(near));
  sink.append(TapRecord{.kind = TapKind::kLost, .tap = 3}, test::hex("2c01000000000000"));
  std::uint64_t lost = 0;
  sink.for_each_record(48, [&](std::uint32_t, TapKind, std::uint64_t count) { lost = count; });
  CHECK_EQ(lost, 300U);
}

TEST(a_consumer_that_is_gone_closes_the_sink) {
  auto [near, far] = make_pair();
  TapSink sink(std::move(near));
  far.reset();
  sink.append(TapRecord{}, Data(10, 1));
  TapSink::Loss loss;
  CHECK(!sink.flush(loss));
  CHECK(sink.state() == TapSink::State::kClosed);
  CHECK(!sink.reason().empty());
}
