#include "packet_store.h"

#include "builders.h"
#include "check.h"

using namespace parley;
using test::Data;
using test::packet_of;
using test::rtp;

namespace {

PutResult put(PacketStore& store, std::int64_t ext_seq, TimeNs arrival = 0, std::size_t size = 3) {
  const Data data =
      rtp({.seq = static_cast<std::uint16_t>(ext_seq), .payload = Data(size, static_cast<std::uint8_t>(ext_seq))});
  Packet packet = packet_of(data);
  packet.ext_seq = ext_seq;
  packet.arrival = arrival;
  return store.put(packet);  // the bytes die with `data`: the store must have copied them
}

}  // namespace

TEST(stored_packet_is_found_with_its_bytes) {
  PacketStore store;
  CHECK_EQ(put(store, 65535), PutResult::kStored);
  CHECK_EQ(put(store, 65536), PutResult::kStored);
  const Packet* packet = store.get(65535, 0);
  CHECK(packet != nullptr);
  CHECK_EQ(packet->rtp.seq, 65535);
  CHECK_EQ(packet->rtp.payload()[0], 0xFF);
  CHECK_EQ(store.get_by_low32(65536, 0)->rtp.seq, 0);
  CHECK(store.get(65537, 0) == nullptr);
  CHECK(store.get(-1, 0) == nullptr);
}

TEST(empty_store_has_nothing) {
  const PacketStore store;
  CHECK(store.get(0, 0) == nullptr);
  CHECK(store.get_by_low32(0, 0) == nullptr);
}

TEST(duplicate_is_told) {
  PacketStore store;
  put(store, 5);
  CHECK_EQ(put(store, 5), PutResult::kDuplicate);
}

TEST(late_packet_finds_its_place) {
  PacketStore store;
  put(store, 5);
  put(store, 8);
  CHECK_EQ(put(store, 6), PutResult::kStored);
  CHECK(store.get(6, 0) != nullptr);
  CHECK(store.get(7, 0) == nullptr);
}

TEST(numbers_below_zero_are_numbers_like_others) {
  PacketStore store;
  put(store, 1);
  CHECK_EQ(put(store, -3), PutResult::kStored);
  CHECK_EQ(store.get(-3, 0)->ext_seq, -3);
  CHECK_EQ(store.get_by_low32(static_cast<std::uint32_t>(-3), 0)->ext_seq, -3);
}

TEST(packet_older_than_the_ring_is_refused) {
  PacketStore store({.first_slots = 8, .max_slots = 8});
  for (int seq = 0; seq < 20; ++seq) {
    put(store, seq);
  }
  CHECK_EQ(put(store, 11), PutResult::kTooOld);
  CHECK_EQ(put(store, 12), PutResult::kDuplicate);
  CHECK(store.get(11, 0) == nullptr);
}

TEST(packets_grow_old) {
  PacketStore store;
  put(store, 1, 0);
  CHECK(store.get(1, kSecond) != nullptr);
  CHECK(store.get(1, kSecond + 1) == nullptr);
}

TEST(packet_over_1500_bytes_is_refused) {
  PacketStore store;
  CHECK_EQ(put(store, 1, 0, 1488), PutResult::kStored);
  CHECK_EQ(put(store, 2, 0, 1489), PutResult::kTooLarge);
}

TEST(ring_grows_until_it_holds_the_wanted_age) {
  PacketStore store({.first_slots = 4, .max_slots = 64, .max_age = kSecond});
  // 20 packets a second need 32 slots.
  for (int seq = 0; seq < 200; ++seq) {
    put(store, seq, seq * 50 * kMillisecond);
    for (int back = 0; back < std::min(seq, 19); ++back) {
      if (seq > 100) {
        CHECK(store.get(seq - back, seq * 50 * kMillisecond) != nullptr);
      }
    }
  }
  CHECK_EQ(store.capacity(), 32U);
}

TEST(growing_loses_nothing) {
  PacketStore store({.first_slots = 4, .max_slots = 16, .max_age = kSecond});
  for (int seq = 100; seq < 116; ++seq) {
    put(store, seq);
  }
  CHECK_EQ(store.capacity(), 16U);
  for (int seq = 100; seq < 116; ++seq) {
    CHECK(store.get(seq, 0) != nullptr);
    CHECK_EQ(store.get(seq, 0)->rtp.payload()[0], seq);
  }
}

TEST(slow_source_stays_small) {
  PacketStore store({.first_slots = 4, .max_slots = 1024, .max_age = kSecond});
  for (int seq = 0; seq < 1000; ++seq) {
    put(store, seq, seq * 500 * kMillisecond);
  }
  CHECK_EQ(store.capacity(), 4U);
}

TEST(cleared_store_is_empty) {
  PacketStore store;
  put(store, 100'000);
  store.clear();
  CHECK(store.get(100'000, 0) == nullptr);
  CHECK_EQ(put(store, 1), PutResult::kStored);
}
