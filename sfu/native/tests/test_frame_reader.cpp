#include "frame_reader.h"

#include <algorithm>
#include <random>
#include <vector>

#include "builders.h"
#include "check.h"

using namespace parley;
using test::Data;

namespace {

Data framed(const std::vector<Data>& datagrams) {
  Data stream;
  for (const Data& datagram : datagrams) {
    test::put_u16(stream, static_cast<std::uint32_t>(datagram.size()));
    stream.insert(stream.end(), datagram.begin(), datagram.end());
  }
  return stream;
}

std::vector<Data> taken(FrameReader& reader) {
  std::vector<Data> found;
  while (const auto frame = reader.next()) {
    found.emplace_back(frame->begin(), frame->end());
  }
  return found;
}

// Gives the stream in pieces as long as `length` says.
std::vector<Data> read(FrameReader& reader, Bytes stream, auto&& length) {
  std::vector<Data> found;
  while (!stream.empty() && !reader.is_broken()) {
    const MutableBytes room = reader.room();
    const std::size_t size = std::min({static_cast<std::size_t>(length()), room.size(), stream.size()});
    copy_to(room, 0, stream.first(size));
    reader.added(size);
    stream = stream.subspan(size);
    std::ranges::move(taken(reader), std::back_inserter(found));
  }
  return found;
}

}  // namespace

TEST(frames_come_out_whatever_pieces_the_stream_comes_in) {
  std::mt19937 random(5);
  std::vector<Data> datagrams;
  for (std::size_t i = 0; i < 200; ++i) {
    datagrams.emplace_back(1 + random() % FrameReader::kMaxFrame, static_cast<std::uint8_t>(i));
  }
  const Data stream = framed(datagrams);
  FrameReader whole;
  CHECK(read(whole, stream, [] { return 100'000; }) == datagrams);
  FrameReader bytewise;
  CHECK(read(bytewise, stream, [] { return 1; }) == datagrams);
  FrameReader pieces;
  CHECK(read(pieces, stream, [&] { return 1 + random() % 3000; }) == datagrams);
}

TEST(an_empty_frame_is_stepped_over) {
  FrameReader reader;
  const std::vector<Data> found = read(reader, framed({{}, {1}, {}, {}, {2}}), [] { return 100; });
  CHECK(found == (std::vector<Data>{{1}, {2}}));
}

TEST(a_length_that_no_datagram_has_breaks_the_stream_at_once) {
  FrameReader reader;
  Data stream = framed({{1, 2, 3}});
  test::put_u16(stream, FrameReader::kMaxFrame + 1);
  stream.insert(stream.end(), 100, 7);
  CHECK(read(reader, stream, [] { return 1000; }) == (std::vector<Data>{{1, 2, 3}}));
  CHECK(reader.is_broken());
  CHECK(!reader.next());
}

TEST(a_frame_put_back_is_unread_with_what_follows_it) {
  FrameReader reader;
  const Data stream = framed({{1}, {2, 2}, {3}});
  copy_to(reader.room(), 0, stream);
  reader.added(stream.size());
  (void)reader.next();
  const auto second = reader.next();
  reader.put_back(second->size());
  CHECK(std::ranges::equal(reader.unread(), framed({{2, 2}, {3}})));
  CHECK(taken(reader) == (std::vector<Data>{{2, 2}, {3}}));
}
