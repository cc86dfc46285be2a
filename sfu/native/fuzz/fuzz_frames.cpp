// Any stream in any pieces into the deframer: frames keep their order and bytes, lengths stay bounded, and it ends.
// Input: one byte of piece length, then the stream.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "frame_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace parley;
  if (size == 0) {
    return 0;
  }
  const std::size_t piece = data[0] + 1U;
  const Bytes stream(data + 1, size - 1);
  FrameReader reader;
  std::vector<std::uint8_t> again;  // what came out, framed as it was
  std::size_t at = 0;
  while (at < stream.size() && !reader.is_broken()) {
    const MutableBytes room = reader.room();
    if (room.empty()) {
      std::abort();
    }
    const std::size_t count = std::min({piece, room.size(), stream.size() - at});
    copy_to(room, 0, stream.subspan(at, count));
    reader.added(count);
    at += count;
    while (const auto frame = reader.next()) {
      if (frame->empty() || frame->size() > FrameReader::kMaxFrame) {
        std::abort();
      }
      again.insert(again.end(), frame->begin(), frame->end());
    }
  }
  // The same by hand.
  std::size_t seen = 0;
  for (std::size_t from = 0; from + 2 <= at;) {
    const std::size_t length = load_u16(stream, from);
    if (length > FrameReader::kMaxFrame || from + 2 + length > at) {
      break;
    }
    for (std::size_t i = 0; i < length; ++i, ++seen) {
      if (seen >= again.size() || again[seen] != stream[from + 2 + i]) {
        std::abort();
      }
    }
    from += 2 + length;
  }
  if (seen != again.size()) {
    std::abort();
  }
  return 0;
}
