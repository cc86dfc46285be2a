// Any stream over a TCP connection that moves from one worker's paths to another's on the way: its frames come whole,
// in order and once, and what is sent back is framed as it came.
// Input: u8 bytes that arrive at once, u8 frames before the connection moves, then the stream.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "tcp_paths.h"

namespace parley {

namespace {

void expect(bool condition) {
  if (!condition) {
    std::abort();
  }
}

// One worker's side: answers each frame with itself.
struct Side {
  explicit Side(TcpAdmission& admission) : paths(admission, counters), epoll(epoll_create1(EPOLL_CLOEXEC)) {
    paths.watch(epoll.get(), 0);
  }

  void answer(const PathId& path, MutableBytes frame) {
    const auto size = static_cast<std::uint16_t>(frame.size());
    paths.send(path, Train{path.remote, frame.data(), size, size, 1});
    paths.flush();
  }

  Counters counters;
  TcpPaths paths;
  UniqueFd epoll;
};

class Stream {
 public:
  Stream(std::size_t piece, std::size_t frames_before) : piece_(piece), frames_before_(frames_before) {
    std::array<int, 2> ends{};
    expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    peer_ = UniqueFd(ends[0]);
    path_ = PathId{.socket = 0, .remote = *Endpoint::parse("192.0.2.1", 5000), .kind = PathKind::kTcp};
    expect(admission_.enter(path_.remote));
    connection_ = first_.paths.adopt(TcpArrival{UniqueFd(ends[1]), path_, {}}, 0);
    expect(connection_ != nullptr);
  }

  void play(Bytes stream) {
    while (!stream.empty() && !connection_->frames.is_broken()) {
      const std::size_t count = std::min(piece_, stream.size());
      expect(write(peer_.get(), stream.data(), count) == static_cast<ssize_t>(count));
      given_.insert(given_.end(), stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(count));
      stream = stream.subspan(count);
      expect(connection_->fill());
      take();
      collect();
    }
    expect(answered_ == framed());
    side_->paths.close(*connection_);
    expect(admission_.count() == 0);
    expect(first_.paths.size() + second_.paths.size() == 0);
  }

 private:
  void take() {
    while (const auto frame = connection_->frames.next()) {
      if (side_ == &first_ && taken_ == frames_before_) {
        connection_->frames.put_back(frame->size());
        connection_ = second_.paths.adopt(first_.paths.hand_over(*connection_), 0);
        expect(connection_ != nullptr);
        side_ = &second_;
        continue;
      }
      ++taken_;
      side_->answer(path_, *frame);
    }
  }
  void collect() {
    std::array<std::uint8_t, 4096> buffer{};
    ssize_t got = 0;
    while ((got = read(peer_.get(), buffer.data(), buffer.size())) > 0) {
      answered_.insert(answered_.end(), buffer.begin(), buffer.begin() + got);
    }
  }
  // What was given, up to the last whole frame, without empty ones.
  [[nodiscard]] std::vector<std::uint8_t> framed() const {
    std::vector<std::uint8_t> whole;
    const Bytes given(given_);
    for (std::size_t at = 0; at + 2 <= given.size();) {
      const std::size_t size = load_u16(given, at);
      if (size > FrameReader::kMaxFrame || at + 2 + size > given.size()) {
        break;
      }
      if (size > 0) {
        const Bytes frame = given.subspan(at, 2 + size);
        whole.insert(whole.end(), frame.begin(), frame.end());
      }
      at += 2 + size;
    }
    return whole;
  }

  std::size_t piece_;
  std::size_t frames_before_;
  std::size_t taken_ = 0;
  TcpAdmission admission_;
  Side first_{admission_};
  Side second_{admission_};
  Side* side_ = &first_;
  PathId path_;
  UniqueFd peer_;
  TcpConnection* connection_ = nullptr;
  std::vector<std::uint8_t> given_;
  std::vector<std::uint8_t> answered_;
};

}  // namespace

}  // namespace parley

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size >= 2) {
    parley::Stream(data[0] + 1U, data[1]).play(parley::Bytes(data + 2, size - 2));
  }
  return 0;
}
