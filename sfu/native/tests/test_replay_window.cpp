#include "replay_window.h"

#include <algorithm>
#include <random>
#include <set>

#include "check.h"

using namespace parley;

TEST(nothing_passes_twice) {
  ReplayWindow<128> window;
  CHECK(window.is_empty());
  for (const std::uint64_t index : {5U, 9U, 6U, 400U, 380U, 273U}) {
    CHECK(window.is_new(index));
    window.accept(index);
    CHECK(!window.is_new(index));
  }
  CHECK_EQ(window.newest(), 400U);
}

TEST(what_is_older_than_the_span_does_not_pass) {
  ReplayWindow<128> window;
  window.accept(1000);
  CHECK(window.is_new(1000 - 127));
  CHECK(!window.is_new(1000 - 128));
  CHECK(!window.is_new(0));
}

TEST(a_leap_forgets_all_before_it) {
  ReplayWindow<128> window;
  for (std::uint64_t index = 0; index < 200; ++index) {
    window.accept(index);
  }
  window.accept(std::uint64_t{1} << 40U);
  for (std::uint64_t back = 1; back < 128; ++back) {
    CHECK(window.is_new((std::uint64_t{1} << 40U) - back));
  }
}

// Against the plain definition: a set of what passed.
TEST(any_order_is_judged_as_by_the_definition) {
  std::mt19937_64 random(7);
  ReplayWindow<1024> window;
  std::set<std::uint64_t> passed;
  std::uint64_t newest = 0;
  for (int step = 0; step < 200'000; ++step) {
    const std::uint64_t back = random() % (random() % 8 == 0 ? 3000 : 40);
    const std::uint64_t ahead = random() % (random() % 64 == 0 ? 2500 : 30);
    const std::uint64_t index = newest + ahead - std::min(newest + ahead, back);
    const bool is_expected = passed.empty() || index > newest || (newest - index < 1024 && !passed.contains(index));
    CHECK_EQ(window.is_new(index), is_expected);
    if (is_expected) {
      window.accept(index);
      passed.insert(index);
      newest = std::max(newest, index);
    }
    if (passed.size() > 8192) {
      passed.erase(passed.begin(), passed.lower_bound(newest - 1024));
    }
  }
}
