#include "ready_set.h"

#include <atomic>
#include <thread>
#include <vector>

#include "check.h"

using namespace parley;

namespace {

std::vector<std::uint32_t> taken(ReadySet& set) {
  std::vector<std::uint32_t> slots;
  set.take([&](std::uint32_t slot) { slots.push_back(slot); });
  return slots;
}

}  // namespace

TEST(marked_slots_are_taken_once_and_in_order) {
  ReadySet set;
  CHECK(set.is_empty());
  for (const std::uint32_t slot : {4095U, 0U, 64U, 63U, 0U}) {
    set.mark(slot);
  }
  CHECK(!set.is_empty());
  CHECK_EQ(taken(set), (std::vector<std::uint32_t>{0, 63, 64, 4095}));
  CHECK(set.is_empty());
  CHECK(taken(set).empty());
}

TEST(a_mark_by_any_thread_is_found) {
  constexpr std::uint32_t kMarkers = 4;
  constexpr int kRounds = 20'000;
  ReadySet set;
  std::array<std::atomic<int>, kMarkers> published{};
  std::vector<std::thread> markers;
  for (std::uint32_t marker = 0; marker < kMarkers; ++marker) {
    markers.emplace_back([&, marker] {
      for (int round = 1; round <= kRounds; ++round) {
        published[marker].store(round, std::memory_order_release);
        set.mark(marker * 100);
      }
    });
  }
  std::array<int, kMarkers> seen{};
  while (seen[0] + seen[1] + seen[2] + seen[3] < static_cast<int>(kMarkers) * kRounds) {
    set.take([&](std::uint32_t slot) { seen[slot / 100] = published[slot / 100].load(std::memory_order_acquire); });
  }
  for (std::thread& marker : markers) {
    marker.join();
  }
  CHECK_EQ(seen[3], kRounds);
}
