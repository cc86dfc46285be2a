#include "encoding_order.h"

#include <algorithm>
#include <array>
#include <vector>

#include "check.h"

using namespace parley;
using Measured = EncodingOrder::Measured;

namespace {

EncodingOrder order_of(const std::vector<Measured>& encodings) {
  EncodingOrder order;
  order.measure(encodings);
  return order;
}

}  // namespace

TEST(numbers_stand_while_no_height_is_known) {
  EncodingOrder order;
  CHECK(!order.measure(std::vector<Measured>{{0, 900}, {0, 300}, {0, 100}}));
  CHECK_EQ(order.choose(0b111, -1), 2);
  CHECK_EQ(order.choose(0b110, 0), 1);
}

TEST(what_is_active_and_not_above_the_target_is_chosen_by_height) {
  struct Row {
    std::uint32_t active;
    int limit;
    int chosen;
  };
  const EncodingOrder downwards = order_of({{720, 900}, {360, 300}, {180, 100}});
  for (const Row& row : {Row{0b111, -1, 0}, Row{0b110, -1, 1}, Row{0b110, 0, 1}, Row{0b100, 0, 2}, Row{0b101, 1, 2},
                         Row{0b011, 2, 1}, Row{0b001, 2, 0}, Row{0b111, 7, 0}}) {
    CHECK_EQ(downwards.choose(row.active, row.limit), row.chosen);
  }
}

TEST(equal_heights_go_by_clearly_different_rates) {
  EncodingOrder order;
  const auto measure = [&](std::uint32_t first, std::uint32_t second) {
    return order.measure(std::vector<Measured>{{720, first}, {720, second}});
  };
  CHECK(measure(900, 300));
  CHECK_EQ(order.choose(0b11, -1), 0);
  CHECK(!measure(300, 400));  // they waver
  CHECK(!measure(0, 400));    // one is silent: nothing is known of its rate
  CHECK(measure(300, 900));
  CHECK_EQ(order.choose(0b11, -1), 1);
}

TEST(an_encoding_without_a_height_keeps_its_place) {
  const EncodingOrder order = order_of({{720, 900}, {0, 0}, {180, 100}});
  CHECK_EQ(order.choose(0b101, -1), 0);
  CHECK_EQ(order.choose(0b111, 1), 1);
  CHECK_EQ(order.choose(0b101, 1), 2);
}

// However a publisher numbers its encodings, what is chosen is the same picture.
TEST(every_numbering_gives_the_same_picture) {
  for (std::size_t count = 1; count <= 5; ++count) {
    std::vector<std::uint16_t> heights;
    for (std::size_t i = 1; i <= count; ++i) {
      heights.push_back(static_cast<std::uint16_t>(90 * i));
    }
    do {
      std::vector<Measured> encodings;
      std::ranges::transform(heights, std::back_inserter(encodings), [](auto height) { return Measured{height, 100}; });
      const EncodingOrder order = order_of(encodings);
      for (std::uint32_t active = 1; active < 1U << count; ++active) {
        for (int limit = -1; limit < static_cast<int>(count); ++limit) {
          int highest_allowed = 0;
          int lowest = 0xFFFF;
          for (std::size_t i = 0; i < count; ++i) {
            if ((active >> i & 1U) != 0) {
              lowest = std::min<int>(lowest, heights[i]);
              const bool is_allowed = limit < 0 || heights[i] <= heights[static_cast<std::size_t>(limit)];
              highest_allowed = is_allowed ? std::max<int>(highest_allowed, heights[i]) : highest_allowed;
            }
          }
          const auto chosen = static_cast<std::size_t>(order.choose(active, limit));
          CHECK_EQ(heights[chosen], highest_allowed != 0 ? highest_allowed : lowest);
        }
      }
    } while (std::ranges::next_permutation(heights).found);
  }
}

// Of three neighbours none of which is clearly above the next, the outer ones may be.
TEST(no_encoding_stands_below_one_that_is_clearly_less) {
  const std::vector<std::uint32_t> rates = {200, 140, 100};
  std::vector<std::size_t> numbers = {0, 1, 2};
  do {
    std::vector<Measured> encodings;
    std::ranges::transform(numbers, std::back_inserter(encodings), [&](auto at) { return Measured{360, rates[at]}; });
    const EncodingOrder order = order_of(encodings);
    for (int one = 0; one < 3; ++one) {
      for (int other = 0; other < 3; ++other) {
        const auto bps = [&](int encoding) { return encodings[static_cast<std::size_t>(encoding)].bps; };
        CHECK(bps(one) < 2 * bps(other) || order.is_higher(one, other));
      }
    }
  } while (std::ranges::next_permutation(numbers).found);
}

TEST(an_encoding_of_unknown_height_in_the_middle_changes_nothing_among_the_others) {
  EncodingOrder order;
  order.measure(std::vector<Measured>{{360, 200}, {360, 140}, {0, 0}, {360, 100}});
  CHECK_EQ(order.choose(0b1011, -1), 0);
  CHECK_EQ(order.choose(0b0111, 2), 2);
  CHECK(order.is_higher(0, 3));
}

TEST(a_silent_encoding_keeps_its_place) {
  EncodingOrder order;
  order.measure(std::vector<Measured>{{360, 300}, {360, 100}});
  CHECK_EQ(order.choose(0b11, -1), 0);
  CHECK(!order.measure(std::vector<Measured>{{360, 0}, {360, 100}}));
  CHECK(!order.measure(std::vector<Measured>{{360, 0}, {360, 400}}));  // not clearly more than it was
  CHECK(order.measure(std::vector<Measured>{{360, 0}, {360, 500}}));
}
