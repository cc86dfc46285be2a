#include "packet_pool.h"

#include <random>
#include <set>
#include <vector>

#include "builders.h"
#include "check.h"

using namespace parley;

namespace {

PacketPool::Reference hold(PacketPool& pool, std::uint32_t holders = 1) {
  const PacketPool::Reference claimed = pool.claim();
  if (claimed.packet != nullptr) {
    claimed.holders->store(holders);
  }
  return claimed;
}

}  // namespace

TEST(a_pool_without_a_limit_gives_nothing) {
  PacketPool pool;
  CHECK(pool.claim().packet == nullptr);
}

TEST(a_packet_is_not_given_twice_while_somebody_holds_it) {
  PacketPool pool;
  pool.set_limit(64);
  std::set<SharedPacket*> held;
  std::vector<PacketPool::Reference> references;
  for (int i = 0; i < 64; ++i) {
    const auto reference = hold(pool, 2);
    CHECK(reference.packet != nullptr);
    CHECK(held.insert(reference.packet).second);
    references.push_back(reference);
  }
  CHECK(pool.claim().packet == nullptr);
  references[7].release();
  CHECK(pool.claim().packet == nullptr);  // the other ring holds it still
  references[7].release();
  CHECK(pool.claim().packet == references[7].packet);
}

TEST(memory_comes_as_it_is_needed) {
  PacketPool pool;
  pool.set_limit(1000);
  CHECK_EQ(pool.capacity(), 0U);
  for (int i = 0; i < 500; ++i) {
    hold(pool).release();
  }
  CHECK_EQ(pool.capacity(), PacketPool::kBlock);
}

TEST(a_copy_is_whole_and_its_own) {
  PacketPool pool;
  pool.set_limit(1);
  test::Data data = test::rtp({.seq = 77, .payload = test::Data(900, 0x42)});
  const auto reference = hold(pool);
  reference.packet->copy(test::packet_of(data));
  data.assign(data.size(), 0);
  CHECK_EQ(reference.packet->packet.rtp.seq, 77);
  CHECK_EQ(reference.packet->packet.rtp.payload().size(), 900U);
  CHECK_EQ(reference.packet->packet.rtp.payload()[899], 0x42);
}

TEST(any_order_of_releases_gives_everything_back) {
  std::mt19937 random(3);
  PacketPool pool;
  pool.set_limit(96);
  std::vector<PacketPool::Reference> held;
  for (int round = 0; round < 20'000; ++round) {
    if (held.size() < 96 && random() % 2 == 0) {
      const auto reference = hold(pool);
      CHECK(reference.packet != nullptr);
      held.push_back(reference);
    } else if (!held.empty()) {
      const std::size_t at = random() % held.size();
      held[at].release();
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  for (const auto& reference : held) {
    reference.release();
  }
  for (int i = 0; i < 96; ++i) {
    CHECK(hold(pool).packet != nullptr);
  }
}
