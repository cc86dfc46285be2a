#include "tap_sink.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace parley {

namespace {

constexpr int kSocketBytes = 1 << 20;

template <typename T>
void put(std::uint8_t*& at, T value) {
  for (std::size_t byte = 0; byte < sizeof(T); ++byte) {
    *at++ = static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * byte));
  }
}

template <typename T>
T get(const std::uint8_t* at) {
  std::uint64_t value = 0;
  for (std::size_t byte = 0; byte < sizeof(T); ++byte) {
    value |= static_cast<std::uint64_t>(at[byte]) << (8 * byte);
  }
  return static_cast<T>(value);
}

}  // namespace

TapSink::TapSink(UniqueFd fd) : fd_(std::move(fd)), buffer_(new std::uint8_t[kMaxDatagram]) {
  const int flags = fcntl(fd_.get(), F_GETFL);
  (void)fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK);
  // Room for a consumer that is late, or being restarted; never for more than the cut can wait out.
  const int bytes = kSocketBytes;
  if (setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0) {
    (void)setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  }
}

void TapSink::write_header(std::uint8_t* at, const TapRecord& record, std::size_t size) {
  put<std::uint32_t>(at, static_cast<std::uint32_t>(size));
  put<std::uint8_t>(at, static_cast<std::uint8_t>(record.kind));
  put<std::uint8_t>(at, record.flags);
  put<std::uint16_t>(at, record.encoding_index);
  put<std::uint32_t>(at, record.tap);
  put<std::uint32_t>(at, record.gate_slot);
  put<std::uint64_t>(at, record.gate_version);
  put<std::uint64_t>(at, record.arrival_ns);
  put<std::uint32_t>(at, record.ssrc);
  put<std::uint32_t>(at, static_cast<std::uint32_t>(record.codec));
}

void TapSink::append(const TapRecord& record, Bytes body) {
  const std::size_t size = kHeaderBytes + body.size();
  write_header(buffer_.get() + used_, record, size);
  std::memcpy(buffer_.get() + used_ + kHeaderBytes, body.data(), body.size());
  used_ += size;
}

bool TapSink::send_alone(const TapRecord& record) {
  std::array<std::uint8_t, kHeaderBytes> bytes{};
  write_header(bytes.data(), record, bytes.size());
  return state_ == State::kOpen && send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

bool TapSink::flush(Loss& loss) {
  const std::size_t bytes = std::exchange(used_, 0);
  loss.bytes = 0;
  if (bytes == 0 || state_ == State::kClosed) {
    return state_ == State::kOpen;
  }
  ssize_t sent = -1;
  do {
    sent = send(fd_.get(), buffer_.get(), bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) {
    return true;
  }
  loss.bytes = bytes;
  if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) {
    mark_closed(std::strerror(errno));
  }
  return false;
}

void TapSink::mark_closed(std::string reason) {
  state_ = State::kClosed;
  reason_ = std::move(reason);
  used_ = 0;
}

TapSink::RecordOwner TapSink::owner_at(std::size_t at) const {
  const std::uint8_t* header = buffer_.get() + at;
  RecordOwner owner{get<std::uint32_t>(header), static_cast<TapKind>(header[4]), get<std::uint32_t>(header + 8), 0};
  if (owner.kind == TapKind::kLost) {
    owner.lost = get<std::uint64_t>(header + kHeaderBytes);
  }
  return owner;
}

}  // namespace parley
