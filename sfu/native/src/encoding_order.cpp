#include "encoding_order.h"

#include <algorithm>

namespace parley {

bool EncodingOrder::is_above(const Measured& one, const Measured& other) {
  if (one.height != other.height) {
    return one.height > other.height;
  }
  return other.bps != 0 && one.bps > kClearlyMore * other.bps;
}

bool EncodingOrder::measure(std::span<const Measured> encodings) {
  const auto is_known = [&](std::size_t encoding) {
    return encoding < encodings.size() && encodings[encoding].height != 0;
  };
  std::array<std::uint8_t, kMaxEncodings> known{};
  std::size_t count = 0;
  for (const std::uint8_t encoding : rising_) {
    if (!is_known(encoding)) {
      continue;
    }
    std::size_t place = count++;
    for (; place > 0 && is_above(encodings[known[place - 1]], encodings[encoding]); --place) {
      known[place] = known[place - 1];
    }
    known[place] = encoding;
  }
  const auto before = rising_;
  std::size_t next = 0;
  for (std::uint8_t place = 0; place < kMaxEncodings; ++place) {
    rising_[place] = is_known(place) ? known[next++] : place;
  }
  return rising_ != before;
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
