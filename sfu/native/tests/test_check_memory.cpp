#include "check_memory.h"

#include <random>
#include <vector>

#include "check.h"

using namespace parley;

namespace {

// As browsers make them: of 64 characters.
std::uint64_t name(std::mt19937_64& random) {
  std::uint64_t made = 0;
  for (int at = 0; at < 8; ++at) {
    made = made << 8 | (0x30 + random() % 64);
  }
  return made;
}

}  // namespace

TEST(an_empty_memory_knows_nothing) {
  const CheckMemory memory;
  CHECK(!memory.knows(0));
  CHECK(!memory.knows(7));
}

TEST(none_of_the_last_checks_is_forgotten_and_few_others_look_known) {
  std::mt19937_64 random(5);
  CheckMemory memory;
  std::vector<std::uint64_t> told;
  for (std::size_t at = 0; at < 3 * CheckMemory::kChecks + 100; ++at) {
    told.push_back(name(random));
    memory.remember(told.back());
  }
  for (std::size_t back = 1; back <= CheckMemory::kChecks; ++back) {
    CHECK(memory.knows(told[told.size() - back]));
  }
  int mistaken = 0;
  constexpr int kOthers = 10'000;
  for (int at = 0; at < kOthers; ++at) {
    mistaken += memory.knows(name(random)) ? 1 : 0;
  }
  CHECK(mistaken < kOthers / 20);
}

TEST(what_is_long_past_makes_room) {
  std::mt19937_64 random(6);
  CheckMemory memory;
  const std::uint64_t first = name(random);
  memory.remember(first);
  for (std::size_t at = 0; at < 2 * CheckMemory::kChecks; ++at) {
    memory.remember(name(random));
  }
  CHECK(!memory.knows(first));
}
