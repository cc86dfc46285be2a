#include "seq_compactor.h"

#include "check.h"

using namespace parley;

namespace {
constexpr std::int64_t kNone = -1'000'000;
std::int64_t map(SeqCompactor& seqs, std::int64_t in) { return seqs.map(in).value_or(kNone); }
}  // namespace

TEST(counts_on_from_the_sync_point) {
  SeqCompactor seqs;
  seqs.sync(1000, 5);
  CHECK_EQ(seqs.next_out(), 5);
  CHECK_EQ(map(seqs, 1000), 5);
  CHECK_EQ(map(seqs, 1001), 6);
  CHECK_EQ(map(seqs, 1001), 6);
  CHECK_EQ(seqs.next_out(), 7);
  CHECK_EQ(map(seqs, 999), kNone);
}

TEST(dropped_numbers_are_closed_up) {
  SeqCompactor seqs;
  seqs.sync(0, 0);
  CHECK_EQ(map(seqs, 0), 0);
  seqs.drop(1);
  seqs.drop(2);
  CHECK_EQ(map(seqs, 3), 1);
  seqs.drop(4);
  CHECK_EQ(map(seqs, 5), 2);
  CHECK_EQ(map(seqs, 4), kNone);
}

TEST(lost_numbers_stay_holes_for_late_packets) {
  SeqCompactor seqs;
  seqs.sync(0, 0);
  CHECK_EQ(map(seqs, 0), 0);
  CHECK_EQ(map(seqs, 3), 3);
  seqs.drop(4);
  CHECK_EQ(map(seqs, 6), 5);
  CHECK_EQ(map(seqs, 2), 2);
  CHECK_EQ(map(seqs, 5), 4);
  CHECK_EQ(seqs.next_out(), 6);
}

TEST(late_drop_behind_something_that_went_out_changes_nothing) {
  SeqCompactor seqs;
  seqs.sync(0, 0);
  map(seqs, 0);
  map(seqs, 3);
  seqs.drop(2);
  CHECK_EQ(map(seqs, 4), 4);
}

TEST(drops_out_of_order_are_closed_up_all) {
  SeqCompactor seqs;
  seqs.sync(0, 0);
  map(seqs, 0);
  seqs.drop(5);
  seqs.drop(2);
  seqs.drop(3);
  seqs.drop(3);
  CHECK_EQ(map(seqs, 1), 1);
  CHECK_EQ(map(seqs, 4), 2);
  CHECK_EQ(map(seqs, 6), 3);
  CHECK_EQ(map(seqs, 5), kNone);
  CHECK_EQ(map(seqs, 2), kNone);
}

TEST(drop_at_the_very_start) {
  SeqCompactor seqs;
  seqs.sync(10, 100);
  seqs.drop(10);
  seqs.drop(9);
  CHECK_EQ(map(seqs, 10), kNone);
  CHECK_EQ(map(seqs, 11), 100);
}

TEST(sync_forgets_the_drops_before_it) {
  SeqCompactor seqs;
  seqs.sync(0, 0);
  map(seqs, 0);
  seqs.drop(1);
  seqs.sync(500, seqs.next_out());
  CHECK_EQ(map(seqs, 500), 1);
  CHECK_EQ(map(seqs, 2), kNone);
}

TEST(numbers_whose_runs_are_forgotten_have_no_place) {
  SeqCompactor seqs;
  seqs.sync(0, 0);
  std::int64_t out = 0;
  // Every other number is dropped: each drop is a run of its own.
  for (std::int64_t in = 0; in < 200; in += 2) {
    CHECK_EQ(map(seqs, in), out++);
    seqs.drop(in + 1);
  }
  CHECK_EQ(map(seqs, 200), out);
  CHECK_EQ(map(seqs, 100), kNone);
  CHECK_EQ(map(seqs, 180), 90);
  CHECK_EQ(seqs.next_out(), out + 1);
}

TEST(long_runs_of_drops_cost_one_entry) {
  SeqCompactor seqs;
  seqs.sync(0, 0);
  map(seqs, 0);
  for (std::int64_t in = 2; in < 10'000; ++in) {
    seqs.drop(in);
  }
  CHECK_EQ(map(seqs, 10'000), 2);
  CHECK_EQ(map(seqs, 1), 1);
}
