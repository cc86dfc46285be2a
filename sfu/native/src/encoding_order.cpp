#include "encoding_order.h"

#include <algorithm>
#include <tuple>

namespace parley {

bool EncodingOrder::is_clearly_above(std::uint8_t one, std::uint8_t other) const {
  if (known_[one].height != known_[other].height) {
    return known_[one].height > known_[other].height;
  }
  return known_[other].bps != 0 && known_[one].bps > kClearlyMore * known_[other].bps;
}

bool EncodingOrder::measure(std::span<const Measured> encodings) {
  std::array<std::uint8_t, kMaxEncodings> ordered{};
  std::size_t count = 0;
  for (const std::uint8_t encoding : rising_) {
    const Measured measured = encoding < encodings.size() ? encodings[encoding] : Measured{};
    known_[encoding] = {.height = measured.height, .bps = measured.bps != 0 ? measured.bps : known_[encoding].bps};
    if (measured.height != 0) {
      ordered[count++] = encoding;
    }
  }
  bool is_wrong = false;
  for (std::size_t lower = 0; lower < count; ++lower) {
    for (std::size_t upper = lower + 1; upper < count; ++upper) {
      is_wrong = is_wrong || is_clearly_above(ordered[lower], ordered[upper]);
    }
  }
  if (is_wrong) {
    std::ranges::sort(std::span(ordered).first(count), {}, [&](std::uint8_t encoding) {
      return std::tuple(known_[encoding].height, known_[encoding].bps, encoding);
    });
  }
  const auto before = rising_;
  std::size_t next = 0;
  for (std::uint8_t place = 0; place < kMaxEncodings; ++place) {
    rising_[place] = known_[place].height != 0 ? ordered[next++] : place;
  }
  return rising_ != before;
}

bool EncodingOrder::is_higher(int encoding, int other) const {
  return std::ranges::find(rising_, encoding) > std::ranges::find(rising_, other);
}

int EncodingOrder::choose(std::uint32_t active, int limit) const {
  int best = -1;
  int lowest = -1;
  bool is_above_limit = false;
  for (const int encoding : rising_) {
    if ((active & (1U << static_cast<unsigned>(encoding))) != 0) {
      best = is_above_limit ? best : encoding;
      lowest = lowest < 0 ? encoding : lowest;
    }
    is_above_limit = is_above_limit || encoding == limit;
  }
  return best >= 0 ? best : lowest;
}

}  // namespace parley
