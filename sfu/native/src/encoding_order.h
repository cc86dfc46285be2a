// Which encoding of a simulcast track is above which, however its publisher numbers them: by the heights of their
// pictures, among equal ones by their rates. One whose height is not known keeps the place of its number.
// Thread: the worker that owns it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "encoding_activity.h"

namespace parley {

class EncodingOrder {
 public:
  struct Measured {
    std::uint16_t height = 0;  // 0: not known
    std::uint32_t bps = 0;     // 0: nothing comes, what came last counts
  };

  // Takes what is known of a track's encodings; true when their order changed. It does as soon as one stands above
  // another that is clearly the better; then all are ordered anew.
  bool measure(std::span<const Measured> encodings);

  // The highest of the encodings in `active` (bit i = encoding i, at least one) that is not above `limit` (-1: none
  // is); when all are, the lowest of them.
  [[nodiscard]] int choose(std::uint32_t active, int limit) const;

  // Whether `encoding` has a higher place than `other`.
  [[nodiscard]] bool is_higher(int encoding, int other) const;

 private:
  // Factor between the rates of equally high pictures from which one is above the other: rates waver.
  static constexpr double kClearlyMore = 1.5;

  [[nodiscard]] bool is_clearly_above(std::uint8_t one, std::uint8_t other) const;

  std::array<std::uint8_t, kMaxEncodings> rising_{0, 1, 2, 3, 4, 5, 6, 7};
  std::array<Measured, kMaxEncodings> known_{};
};

}  // namespace parley
