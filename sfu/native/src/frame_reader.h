// Takes a TCP byte stream apart into the datagrams that it carries: a 16-bit length before each.
// Thread: any, one object at a time. Source: RFC 4571 section 2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "bytes.h"

namespace parley {

class FrameReader {
 public:
  static constexpr std::size_t kHeaderBytes = 2;
  static constexpr std::size_t kMaxFrame = 2048;  // as long as a datagram may be
  static constexpr std::size_t kBufferBytes = 8 * 1024;

  FrameReader() : buffer_(new std::uint8_t[kBufferBytes]) {}

  // Where the next bytes of the stream go; never empty while the stream is not broken and frames are taken.
  [[nodiscard]] MutableBytes room();
  void added(std::size_t bytes) { end_ += bytes; }

  // The next whole frame, valid (and the caller's to change) until `room`; nothing when it has not come yet, or the
  // stream is broken. Frames of length 0 are stepped over.
  [[nodiscard]] std::optional<MutableBytes> next();
  // Makes the frame that `next` gave last the next one again. It must not have been changed.
  void put_back(std::size_t frame_bytes) { begin_ -= kHeaderBytes + frame_bytes; }
  // What was received and not taken.
  [[nodiscard]] Bytes unread() const { return {buffer_.get() + begin_, end_ - begin_}; }

  // A length that no datagram has: nothing after it can be trusted.
  [[nodiscard]] bool is_broken() const { return broken_; }

 private:
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool broken_ = false;
};

}  // namespace parley
