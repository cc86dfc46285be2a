#include "bwe/pacer.h"

#include <vector>

#include "check.h"

using namespace parley;

namespace {

const std::vector<std::uint8_t> kPacket(1000, 7);

// Everything that waits, taken as time allows; how long it took.
TimeNs drain(Pacer& pacer, SlotPool& pool, TimeNs from, std::vector<std::uint32_t>& tags) {
  TimeNs now = from;
  while (!pacer.is_empty()) {
    now = std::max(now, pacer.deadline());
    const std::uint32_t index = pacer.pop(pool, now);
    if (index == SlotPool::kNone) {
      CHECK(false);
      break;
    }
    tags.push_back(pool.at(index).held.forward);
    pool.release(index);
  }
  return now - from;
}

}  // namespace

TEST(little_leaves_at_once) {
  Pacer pacer;
  pacer.set_estimate(1'000'000);
  TimeNs now = kSecond;
  for (int packet = 0; packet < 100; ++packet) {
    CHECK(pacer.may_send(1000, now));
    now += 8 * kMillisecond;  // 1 Mb/s
  }
}

TEST(a_burst_leaves_in_order_at_the_pacing_rate) {
  Pacer pacer;
  SlotPool pool(1024);
  pacer.set_estimate(1'000'000);
  const TimeNs now = kSecond;
  std::uint32_t sent = 0;
  while (pacer.may_send(kPacket.size(), now)) {
    ++sent;
  }
  CHECK_EQ(sent, 4U);  // 20 ms at 1.5 Mb/s
  for (std::uint32_t tag = 0; tag < 60; ++tag) {
    CHECK(pacer.push(pool, kPacket, HeldPacket{.forward = tag, .gate = {}, .stamps = {}}));
  }
  CHECK(!pacer.may_send(10, now + kSecond));  // not past those that wait
  CHECK_EQ(pacer.queued_bytes(), 60'000U);
  std::vector<std::uint32_t> tags;
  const TimeNs took = drain(pacer, pool, now, tags);
  CHECK(took > 250 * kMillisecond);
  CHECK(took < 360 * kMillisecond);  // 480 kb at 1.5 Mb/s: 320 ms
  CHECK_EQ(tags.size(), 60U);
  for (std::uint32_t tag = 0; tag < tags.size(); ++tag) {
    CHECK_EQ(tags[tag], tag);
  }
  CHECK_EQ(pool.taken(), 0U);
}

TEST(a_long_queue_leaves_faster) {
  Pacer pacer;
  SlotPool pool(4096);
  pacer.set_estimate(100'000);
  for (std::uint32_t tag = 0; tag < 500; ++tag) {
    CHECK(pacer.push(pool, kPacket, HeldPacket{.forward = tag, .gate = {}, .stamps = {}}));
  }
  std::vector<std::uint32_t> tags;
  CHECK(drain(pacer, pool, kSecond, tags) < 3 * kSecond);  // 16 s at the rate alone
}

TEST(sound_that_needs_more_than_the_path_carries_holds_video_back_no_longer_than_the_queue_may_be) {
  Pacer pacer;
  SlotPool pool(1024);
  pacer.set_estimate(50'000);
  TimeNs now = kSecond;
  for (int packet = 0; packet < 7500; ++packet) {  // 5 voices of 40 kb/s, 30 s long
    pacer.spend(100, now);
    now += 4 * kMillisecond;
  }
  CHECK(pacer.push(pool, kPacket, HeldPacket{.forward = 1, .gate = {}, .stamps = {}}));
  pacer.set_estimate(2'000'000);
  std::vector<std::uint32_t> tags;
  CHECK(drain(pacer, pool, now, tags) <= Pacer::kMaxDelay);
  CHECK_EQ(tags.size(), 1U);
}

TEST(both_ends_are_bounded) {
  Pacer pacer;
  SlotPool small(64);
  std::uint32_t pushed = 0;
  while (pacer.push(small, kPacket, {})) {
    ++pushed;
  }
  CHECK_EQ(pushed, 64U);
  pacer.clear(small);
  CHECK_EQ(small.taken(), 0U);
  CHECK(pacer.is_empty());
  CHECK_EQ(pacer.deadline(), kNever);
  const std::vector<std::uint8_t> huge(kMaxPacketSize + 1);
  CHECK(!pacer.push(small, huge, {}));
}
