#include "seq_compactor.h"

#include <algorithm>

namespace parley {

void SeqCompactor::sync(std::int64_t in, std::int64_t out) {
  count_ = 0;
  base_shift_ = 0;
  first_in_ = in;
  offset_ = out - in;
  highest_in_ = in - 1;
  highest_out_ = out - 1;
}

void SeqCompactor::drop(std::int64_t in) {
  if (in < first_in_ || in <= highest_in_) {
    return;
  }
  // Behind the last run, nearly always.
  std::size_t at = count_;
  while (at > 0 && in < runs_[at - 1].first) {
    --at;
  }
  if (at > 0 && in <= runs_[at - 1].last) {
    return;  // dropped before
  }
  if (at > 0 && in == runs_[at - 1].last + 1) {
    runs_[at - 1].last = in;
    ++runs_[at - 1].shift;
  } else {
    insert(at, in);
    return;
  }
  for (std::size_t i = at; i < count_; ++i) {
    ++runs_[i].shift;
  }
}

void SeqCompactor::insert(std::size_t at, std::int64_t in) {
  if (count_ == kRuns) {
    if (at == 0) {
      return;  // older than every run remembered: its hole stays
    }
    base_shift_ = runs_[0].shift;
    first_in_ = runs_[0].last + 1;
    std::ranges::copy(runs_.begin() + 1, runs_.end(), runs_.begin());
    --count_;
    --at;
  }
  const auto place = runs_.begin() + static_cast<std::ptrdiff_t>(at);
  const auto end = runs_.begin() + static_cast<std::ptrdiff_t>(count_);
  std::ranges::copy_backward(place, end, end + 1);
  ++count_;
  const std::int64_t before = at == 0 ? base_shift_ : runs_[at - 1].shift;
  runs_[at] = {.first = in, .last = in, .shift = before + 1};
  for (std::size_t i = at + 1; i < count_; ++i) {
    ++runs_[i].shift;
  }
}

std::optional<std::int64_t> SeqCompactor::map(std::int64_t in) {
  if (in < first_in_) {
    return std::nullopt;
  }
  std::size_t at = count_;
  while (at > 0 && in < runs_[at - 1].first) {
    --at;
  }
  if (at > 0 && in <= runs_[at - 1].last) {
    return std::nullopt;
  }
  const std::int64_t out = in + offset_ - (at == 0 ? base_shift_ : runs_[at - 1].shift);
  if (in > highest_in_) {
    highest_in_ = in;
    highest_out_ = out;
  }
  return out;
}

}  // namespace parley
