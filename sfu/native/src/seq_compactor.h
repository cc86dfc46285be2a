// Maps a numbering with dropped members onto one without holes: sequence numbers and picture ids of one source.
// Holes that were not made on purpose stay holes, so that a late packet still finds its place.
// Thread: one owner. Bounded: remembers the last 32 runs of drops.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace parley {

class SeqCompactor {
 public:
  // From now on `in` maps to `out` and what follows counts on; older values than `in` have no place.
  void sync(std::int64_t in, std::int64_t out);

  // `in` is left out on purpose. Nothing to close when something newer went out already (its number is spent).
  void drop(std::int64_t in);

  // The output number, or nothing: before the last sync, dropped itself, or so old that its shift is forgotten.
  // Marks `in` as gone out.
  std::optional<std::int64_t> map(std::int64_t in);

  // The output number that follows everything mapped so far.
  [[nodiscard]] std::int64_t next_out() const { return highest_out_ + 1; }
  [[nodiscard]] std::int64_t highest_in() const { return highest_in_; }

 private:
  struct Run {
    std::int64_t first;
    std::int64_t last;
    std::int64_t dropped_before;
  };
  static constexpr std::size_t kRuns = 32;
  [[nodiscard]] const Run& run(std::size_t age) const { return runs_[(next_ + kRuns - 1 - age) % kRuns]; }

  std::array<Run, kRuns> runs_{};
  std::size_t count_ = 0;
  std::size_t next_ = 0;
  std::int64_t first_in_ = 0;
  std::int64_t offset_ = 0;       // out = in + offset_ - drops before it
  std::int64_t dropped_ = 0;      // since sync
  std::int64_t forgotten_to_ = 0; // inputs up to here lost their run
  std::int64_t highest_in_ = 0;   // highest mapped or dropped
  std::int64_t highest_out_ = -1;
};

}  // namespace parley
