#include "frame_reader.h"

#include <cstring>

namespace parley {

MutableBytes FrameReader::room() {
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return {buffer_.get() + end_, kBufferBytes - end_};
}

std::optional<MutableBytes> FrameReader::next() {
  while (!broken_ && end_ - begin_ >= kHeaderBytes) {
    const std::size_t size = load_u16(unread(), 0);
    if (size > kMaxFrame) {
      broken_ = true;
      break;
    }
    if (end_ - begin_ < kHeaderBytes + size) {
      break;
    }
    const MutableBytes frame{buffer_.get() + begin_ + kHeaderBytes, size};
    begin_ += kHeaderBytes + size;
    if (size > 0) {
      return frame;
    }
  }
  return std::nullopt;
}

}  // namespace parley
