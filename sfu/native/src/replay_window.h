// Which packet indexes of one SRTP source have passed: none passes twice, and none that is older than the window.
// Thread: the worker that owns the transport. Source: RFC 3711 section 3.3.2, RFC 6479 (a ring that is not shifted).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace parley {

// `Span` indexes behind the newest can still pass: a multiple of 64.
template <std::size_t Span>
class ReplayWindow {
 public:
  [[nodiscard]] bool is_new(std::uint64_t index) const {
    if (is_empty_ || index > newest_) {
      return true;
    }
    return newest_ - index < Span && (word(index) & bit(index)) == 0;
  }

  // `index` is new.
  void accept(std::uint64_t index) {
    if (is_empty_ || index > newest_) {
      // The words that the ring moves over are of indexes that have fallen out of it.
      const std::uint64_t moved = is_empty_ ? kWords : index / kBits - newest_ / kBits;
      for (std::uint64_t step = 0; step < moved && step < kWords; ++step) {
        word(index - step * kBits) = 0;
      }
      newest_ = index;
      is_empty_ = false;
    }
    word(index) |= bit(index);
  }

  // Of the newest, while there is one.
  [[nodiscard]] std::uint64_t newest() const { return newest_; }
  [[nodiscard]] bool is_empty() const { return is_empty_; }

 private:
  static constexpr std::uint64_t kBits = 64;
  // One more than the span needs, since the newest may stand at any place of its word.
  static constexpr std::uint64_t kWords = Span / kBits + 1;

  [[nodiscard]] std::uint64_t& word(std::uint64_t index) { return words_[index / kBits % kWords]; }
  [[nodiscard]] const std::uint64_t& word(std::uint64_t index) const { return words_[index / kBits % kWords]; }
  static constexpr std::uint64_t bit(std::uint64_t index) { return std::uint64_t{1} << (index % kBits); }

  std::array<std::uint64_t, kWords> words_{};
  std::uint64_t newest_ = 0;
  bool is_empty_ = true;
};

}  // namespace parley
