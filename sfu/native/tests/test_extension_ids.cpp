#include "extension_ids.h"

#include "check.h"

using namespace parley;

TEST(names_and_enum_agree) {
  for (std::size_t i = 0; i < kExtensionCount; ++i) {
    CHECK_EQ(static_cast<std::size_t>(*extension_from_name(kExtensionNames[i])), i);
  }
  CHECK_EQ(*extension_from_name("abs_capture_time"), Extension::kAbsCaptureTime);
  CHECK(!extension_from_name("").has_value());
  CHECK(!extension_from_name("MID").has_value());
}

TEST(ids_map_both_ways) {
  ExtensionIds ids;
  CHECK(!ids.has(Extension::kMid));
  CHECK_EQ(ids.index_of(3), kExtensionCount);
  CHECK(ids.set(Extension::kTwcc, 3));
  CHECK_EQ(ids.id(Extension::kTwcc), 3);
  CHECK_EQ(ids.index_of(3), static_cast<std::size_t>(Extension::kTwcc));
}

TEST(an_extension_that_moves_frees_its_old_id) {
  ExtensionIds ids;
  CHECK(ids.set(Extension::kMid, 1));
  CHECK(ids.set(Extension::kMid, 2));
  CHECK_EQ(ids.index_of(1), kExtensionCount);
  CHECK(ids.set(Extension::kRid, 1));
}

TEST(reserved_and_taken_ids_are_refused) {
  ExtensionIds ids;
  CHECK(!ids.set(Extension::kMid, 0));
  CHECK(!ids.set(Extension::kMid, 15));
  CHECK(ids.set(Extension::kMid, 4));
  CHECK(!ids.set(Extension::kRid, 4));
  CHECK(ids.set(Extension::kMid, 4));
}

TEST(an_id_over_fourteen_needs_the_two_byte_form) {
  ExtensionIds ids;
  ids.set(Extension::kMid, 14);
  CHECK(!ids.needs_two_byte_form());
  ids.set(Extension::kTwcc, 16);
  CHECK(ids.needs_two_byte_form());
  ids.set(Extension::kTwcc, 2);
  CHECK(!ids.needs_two_byte_form());
}

TEST(maps_with_the_same_ids_are_equal) {
  ExtensionIds a;
  ExtensionIds b;
  CHECK(a == b);
  a.set(Extension::kMid, 1);
  CHECK(!(a == b));
  b.set(Extension::kMid, 1);
  CHECK(a == b);
}
