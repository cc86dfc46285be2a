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
  static constexpr std::size_t kRuns = 32;

  // From now on `in` maps to `out` and what follows counts on; values before `in` have no place.
  void sync(std::int64_t in, std::int64_t out);

  // `in` is left out on purpose. Without effect when something newer went out already: its number is spent.
  void drop(std::int64_t in);

  // The output number, or nothing: before the last sync, dropped itself, or so old that its shift is forgotten.
  // Marks `in` as gone out. The same `in` gives the same number again.
  std::optional<std::int64_t> map(std::int64_t in);

  // The output number that follows everything mapped so far.
  [[nodiscard]] std::int64_t next_out() const { return highest_out_ + 1; }

 private:
  // Inputs first..last were dropped, `shift` in all up to and including last.
  struct Run {
    std::int64_t first;
    std::int64_t last;
    std::int64_t shift;
  };
  void insert(std::size_t at, std::int64_t in);

  std::array<Run, kRuns> runs_{};  // ascending
  std::size_t count_ = 0;
  std::int64_t first_in_ = 0;     // earlier inputs have no place
  std::int64_t offset_ = 0;       // out = in + offset_ - shift
  std::int64_t base_shift_ = 0;   // of the runs that were forgotten
  std::int64_t highest_in_ = -1;  // highest that went out
  std::int64_t highest_out_ = -1;
};

}  // namespace parley
