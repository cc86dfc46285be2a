// Bounds-checked reading and writing of network byte order; the only code of the core that moves raw bytes.
// A short read or write is a sticky error value (`ok()`), never an exception.
// Thread: any, one object at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace parley {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

// Big-endian loads at an offset that the caller has already checked against `data.size()`.
[[nodiscard]] inline std::uint16_t load_u16(Bytes data, std::size_t offset) {
  const auto* at = data.subspan(offset, 2).data();
  return static_cast<std::uint16_t>((at[0] << 8) | at[1]);
}
[[nodiscard]] inline std::uint32_t load_u24(Bytes data, std::size_t offset) {
  const auto* at = data.subspan(offset, 3).data();
  return (static_cast<std::uint32_t>(at[0]) << 16) | (static_cast<std::uint32_t>(at[1]) << 8) | at[2];
}
[[nodiscard]] inline std::uint32_t load_u32(Bytes data, std::size_t offset) {
  const auto* at = data.subspan(offset, 4).data();
  return (static_cast<std::uint32_t>(at[0]) << 24) | (static_cast<std::uint32_t>(at[1]) << 16) |
         (static_cast<std::uint32_t>(at[2]) << 8) | at[3];
}

// Big-endian stores at an offset that the caller has already checked.
inline void store_u16(MutableBytes data, std::size_t offset, std::uint16_t value) {
  auto* at = data.subspan(offset, 2).data();
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}
inline void store_u24(MutableBytes data, std::size_t offset, std::uint32_t value) {
  auto* at = data.subspan(offset, 3).data();
  at[0] = static_cast<std::uint8_t>(value >> 16);
  at[1] = static_cast<std::uint8_t>(value >> 8);
  at[2] = static_cast<std::uint8_t>(value);
}
inline void store_u32(MutableBytes data, std::size_t offset, std::uint32_t value) {
  auto* at = data.subspan(offset, 4).data();
  at[0] = static_cast<std::uint8_t>(value >> 24);
  at[1] = static_cast<std::uint8_t>(value >> 16);
  at[2] = static_cast<std::uint8_t>(value >> 8);
  at[3] = static_cast<std::uint8_t>(value);
}

// Copies the whole of `from` to `to[offset..]`; the caller has checked the room.
inline void copy_to(MutableBytes to, std::size_t offset, Bytes from) {
  if (!from.empty()) {
    std::memcpy(to.subspan(offset, from.size()).data(), from.data(), from.size());
  }
}

// Copies exactly `Size` bytes between places that have them: a few moves instead of a call. For the hot path, where
// what is copied too much is overwritten next.
template <std::size_t Size>
inline void copy_block(MutableBytes to, std::size_t offset, Bytes from) {
  std::memcpy(to.subspan(offset, Size).data(), from.first(Size).data(), Size);
}

// The same bytes seen as text, without a copy.
[[nodiscard]] inline std::string_view as_text(Bytes data) {
  return {static_cast<const char*>(static_cast<const void*>(data.data())), data.size()};
}

[[nodiscard]] inline Bytes as_bytes(std::string_view text) {
  return {static_cast<const std::uint8_t*>(static_cast<const void*>(text.data())), text.size()};
}

// Reads forward through a span. After a short read every further read gives zero, `ok()` stays false and nothing
// remains: a loop until `empty()` ends.
class Reader {
 public:
  explicit Reader(Bytes data) : data_(data) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t offset() const { return offset_; }
  [[nodiscard]] std::size_t remaining() const { return data_.size() - offset_; }
  [[nodiscard]] bool empty() const { return remaining() == 0; }
  [[nodiscard]] Bytes rest() const { return data_.subspan(offset_); }

  std::uint8_t u8() { return claim(1) ? data_[offset_ - 1] : std::uint8_t{0}; }
  std::uint16_t u16() { return claim(2) ? load_u16(data_, offset_ - 2) : std::uint16_t{0}; }
  std::uint32_t u24() { return claim(3) ? load_u24(data_, offset_ - 3) : 0U; }
  std::uint32_t u32() { return claim(4) ? load_u32(data_, offset_ - 4) : 0U; }
  std::uint64_t u64() {
    const std::uint64_t high = u32();
    return (high << 32) | u32();
  }
  Bytes take(std::size_t size) { return claim(size) ? data_.subspan(offset_ - size, size) : Bytes{}; }
  void skip(std::size_t size) { claim(size); }

 private:
  bool claim(std::size_t size) {
    if (!ok_ || size > remaining()) {
      ok_ = false;
      offset_ = data_.size();
      return false;
    }
    offset_ += size;
    return true;
  }

  Bytes data_;
  std::size_t offset_ = 0;
  bool ok_ = true;
};

// Writes forward into a span. After a short write nothing more is written and `ok()` stays false.
class Writer {
 public:
  explicit Writer(MutableBytes data) : data_(data) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t remaining() const { return data_.size() - size_; }
  [[nodiscard]] Bytes written() const { return data_.first(size_); }

  void u8(std::uint8_t value) {
    if (claim(1)) {
      data_[size_ - 1] = value;
    }
  }
  void u16(std::uint16_t value) {
    if (claim(2)) {
      store_u16(data_, size_ - 2, value);
    }
  }
  void u24(std::uint32_t value) {
    if (claim(3)) {
      store_u24(data_, size_ - 3, value);
    }
  }
  void u32(std::uint32_t value) {
    if (claim(4)) {
      store_u32(data_, size_ - 4, value);
    }
  }
  void u64(std::uint64_t value) {
    u32(static_cast<std::uint32_t>(value >> 32));
    u32(static_cast<std::uint32_t>(value));
  }
  void bytes(Bytes value) {
    if (claim(value.size())) {
      copy_to(data_, size_ - value.size(), value);
    }
  }
  void fill(std::uint8_t value, std::size_t count) {
    if (claim(count)) {
      std::ranges::fill(data_.subspan(size_ - count, count), value);
    }
  }

  // Overwrites what was written before; `offset + 2 <= size()`.
  void patch_u16(std::size_t offset, std::uint16_t value) { store_u16(data_.first(size_), offset, value); }

  // Forgets everything written after `size` and any failure since: a message is appended whole or not at all.
  void rewind(std::size_t size) {
    size_ = std::min(size, size_);
    ok_ = true;
  }

 private:
  bool claim(std::size_t size) {
    if (!ok_ || size > remaining()) {
      ok_ = false;
      return false;
    }
    size_ += size;
    return true;
  }

  MutableBytes data_;
  std::size_t size_ = 0;
  bool ok_ = true;
};

// Reads bit by bit, most significant first (AV1 descriptors, H.264 parameter sets). Same sticky failure as Reader.
class BitReader {
 public:
  explicit BitReader(Bytes data) : data_(data) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t remaining_bits() const { return data_.size() * 8 - position_; }

  // `count` <= 32.
  std::uint32_t bits(std::size_t count) {
    if (!ok_ || count > remaining_bits()) {
      ok_ = false;
      return 0;
    }
    std::uint32_t value = 0;
    for (; count > 0; --count, ++position_) {
      value = (value << 1) | ((static_cast<unsigned>(data_[position_ / 8]) >> (7 - position_ % 8)) & 1U);
    }
    return value;
  }
  bool flag() { return bits(1) != 0; }

  // Exponential Golomb code, at most 32 bits of value. Source: ITU-T H.264 section 9.1.
  std::uint32_t ue() {
    std::size_t zeros = 0;
    while (ok_ && !flag()) {
      ++zeros;
    }
    if (zeros > 31) {
      ok_ = false;
    }
    return ok_ ? static_cast<std::uint32_t>((std::uint64_t{1} << zeros) - 1 + bits(zeros)) : 0;
  }
  std::int32_t se() {
    const std::uint32_t code = ue();
    const auto half = static_cast<std::int32_t>((code >> 1U) + (code & 1U));
    return (code & 1U) != 0 ? half : -half;
  }

  // A value below `limit` in the fewest bits. Source: AV1 specification section 4.10.7 ns(n).
  std::uint32_t non_symmetric(std::uint32_t limit) {
    std::size_t width = 0;
    for (auto rest = limit; rest != 0; rest >>= 1) {
      ++width;
    }
    if (width == 0) {
      return 0;
    }
    const std::uint32_t shorter = (1U << width) - limit;
    const std::uint32_t value = bits(width - 1);
    return value < shorter ? value : (value << 1) - shorter + bits(1);
  }

 private:
  Bytes data_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace parley
