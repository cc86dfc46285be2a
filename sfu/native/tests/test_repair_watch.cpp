#include "repair_watch.h"

#include "check.h"

using namespace parley;

TEST(a_repair_is_found_by_its_number_once) {
  RepairWatch watch;
  watch.sent({.forward = 20, .seq = 7, .number = 65'535, .sent = kSecond});
  watch.sent({.forward = 21, .seq = 8, .number = 0, .sent = 2 * kSecond});
  CHECK(!watch.take(1));
  const auto found = watch.take(65'535);
  CHECK(found.has_value());
  CHECK_EQ(found->forward, 20U);
  CHECK_EQ(found->seq, 7);
  CHECK_EQ(found->sent, kSecond);
  CHECK(!watch.take(65'535));
  CHECK_EQ(watch.take(0)->forward, 21U);
}

TEST(nothing_is_found_where_nothing_was_repaired) {
  RepairWatch watch;
  CHECK(!watch.take(0));
}

TEST(the_oldest_repair_makes_room) {
  RepairWatch watch;
  for (std::uint16_t number = 0; number <= RepairWatch::kWatched; ++number) {
    watch.sent({.forward = 20, .seq = number, .number = number, .sent = 0});
  }
  CHECK(!watch.take(0));
  CHECK(watch.take(1).has_value());
  CHECK(watch.take(RepairWatch::kWatched).has_value());
}
