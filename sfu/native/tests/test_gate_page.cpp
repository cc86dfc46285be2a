#include "gate_page.h"

#include <sys/mman.h>

#include <atomic>
#include <thread>

#include "check.h"
#include "loopback.h"

using namespace parley;

TEST(a_gate_is_open_for_exactly_one_version) {
  const UniqueFd fd = test::make_page(8);
  GatePage page;
  CHECK_EQ(page.map(fd.get(), 8), "");
  CHECK(!page.is_open({3, 0}));
  CHECK(page.open(3, 5));
  CHECK(page.is_open({3, 5}));
  CHECK(!page.is_open({3, 4}));
  CHECK(!page.is_open({3, 6}));
  CHECK(page.close(3, 6));
  CHECK(!page.is_open({3, 5}));
  CHECK(!page.is_open({3, 6}));
}

TEST(slot_zero_is_always_open_and_never_written) {
  const UniqueFd fd = test::make_page(8);
  GatePage page;
  page.map(fd.get(), 8);
  CHECK(page.is_open({0, 0}));
  CHECK(page.is_open({0, 77}));
  CHECK(!page.open(0, 1));
  CHECK(!page.close(0, 1));
}

TEST(slots_outside_the_page_are_closed) {
  const UniqueFd fd = test::make_page(8);
  GatePage page;
  page.map(fd.get(), 8);
  CHECK(!page.is_open({8, 0}));
  CHECK(!page.is_open({0xFFFFFFFF, 0}));
  CHECK(!page.open(8, 1));
}

TEST(a_page_without_a_map_has_no_open_gate_but_slot_zero) {
  const GatePage page;
  CHECK(!page.is_open({1, 0}));
  CHECK(page.is_open({0, 0}));
}

TEST(a_page_shorter_than_its_slots_is_refused) {
  const UniqueFd fd = test::make_page(8);
  GatePage page;
  CHECK(!page.map(fd.get(), 9).empty());
  CHECK(!page.map(fd.get(), 0).empty());
  CHECK(!page.map(-1, 8).empty());
}

TEST(another_map_of_the_same_page_sees_the_store) {
  const UniqueFd fd = test::make_page(8);
  GatePage writer;
  GatePage reader;
  writer.map(fd.get(), 8);
  reader.map(fd.get(), 8);
  writer.open(2, 9);
  CHECK(reader.is_open({2, 9}));
}

TEST(a_reader_beside_the_writer_sees_no_version_open_that_never_was) {
  constexpr std::uint64_t kVersions = 20'000;
  const UniqueFd fd = test::make_page(8);
  GatePage page;
  page.map(fd.get(), 8);
  std::atomic<std::uint64_t> newest{0};
  std::thread writer([&] {
    for (std::uint64_t version = 2; version <= kVersions; version += 2) {
      page.open(2, version, static_cast<TimeNs>(version));
      newest.store(version, std::memory_order_release);
      page.close(2, version + 1);
    }
  });
  std::uint64_t wrong = 0;
  for (std::uint64_t version = 0; version < kVersions; version = newest.load(std::memory_order_acquire)) {
    wrong += page.is_open({2, version + 1}) ? 1U : 0U;
    wrong += page.opened_at({2, version}) % 2 != 0 ? 1U : 0U;
  }
  writer.join();
  CHECK_EQ(wrong, 0U);
  CHECK(!page.is_open({2, kVersions}));
}
