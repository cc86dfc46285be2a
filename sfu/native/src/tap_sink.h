// One consumer process's end of a SOCK_SEQPACKET pair: tap records gathered into datagrams; full sockets drop.
// Thread: the worker that owns it.
#pragma once

#include "bytes.h"
#include "codec.h"
#include "unique_fd.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace parley {

enum class TapKind : std::uint8_t { kRtp = 1, kSenderReport = 2, kLost = 3, kKeyframeWish = 4 };

inline constexpr std::uint8_t kTapKeyframe = 1;
inline constexpr std::uint8_t kTapRepaired = 2;
inline constexpr std::uint8_t kTapCodecChanged = 4;

// The fixed part of a record, little endian on the socket (docs/forwarding.md, "Tap records").
struct TapRecord {
  TapKind kind = TapKind::kRtp;
  std::uint8_t flags = 0;
  std::uint16_t encoding_index = 0;
  std::uint32_t tap = 0;
  std::uint32_t gate_slot = 0;
  std::uint64_t gate_version = 0;
  std::uint64_t arrival_ns = 0;
  std::uint32_t ssrc = 0;
  Codec codec = Codec::kUnknown;  // of a packet
};

class TapSink {
 public:
  static constexpr std::size_t kMaxDatagram = 60'000;
  static constexpr std::size_t kHeaderBytes = 40;

  enum class State : std::uint8_t { kOpen, kClosed };

  // Takes the descriptor over and makes it non-blocking.
  explicit TapSink(UniqueFd fd);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] bool is_empty() const { return used_ == 0; }

  // Whether a record with this body fits into the batch as it stands; flush() makes room.
  [[nodiscard]] bool has_room(std::size_t body_bytes) const {
    return used_ + kHeaderBytes + body_bytes <= kMaxDatagram;
  }
  // Sends a record without a body by itself, ahead of the batch; false when the socket is full.
  bool send_alone(const TapRecord& record);
  // Appends a record. The caller has checked has_room.
  void append(const TapRecord& record, Bytes body);

  struct Loss {
    std::size_t bytes = 0;
  };
  // Sends the batch as one datagram, or drops it: a full socket never blocks the worker. True when it went out.
  // Otherwise `loss.bytes` of records were dropped; for_each_record tells whose, until the next append.
  bool flush(Loss& loss);
  void mark_closed(std::string reason);

  // Calls `visit(tap, kind, lost)` for each record in the first `bytes` of the batch; `lost` of a LOST record.
  template <typename Visit>
  void for_each_record(std::size_t bytes, Visit&& visit) const {
    for (std::size_t at = 0; at + kHeaderBytes <= bytes;) {
      const RecordOwner owner = owner_at(at);
      visit(owner.tap, owner.kind, owner.lost);
      at += owner.size;
    }
  }

 private:
  static void write_header(std::uint8_t* at, const TapRecord& record, std::size_t size);
  struct RecordOwner {
    std::uint32_t size = 0;
    TapKind kind = TapKind::kRtp;
    std::uint32_t tap = 0;
    std::uint64_t lost = 0;
  };
  [[nodiscard]] RecordOwner owner_at(std::size_t at) const;

  UniqueFd fd_;
  State state_ = State::kOpen;
  std::string reason_;
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::size_t used_ = 0;
};

}  // namespace parley
