// What one forward sent, by outgoing sequence number: finds the stored packet for a NACK and says whether it may be
// sent again. At most 3 resends a packet, not repeated within an RTT, and no more bytes than the media that earned
// them. Thread: the worker that owns the forward. Source: RFC 4588; NACK amplification is an attack (threat model).
#pragma once

#include <cstdint>
#include <vector>

#include "units.h"

namespace parley {

struct SentPacket {
  std::uint32_t source = 0;        // the caller's key of the encoding it came from
  std::uint32_t source_seq = 0;    // lower 32 bits of the source's extended sequence number
  std::uint32_t timestamp = 0;     // as sent
  std::uint16_t seq = 0;           // as sent
  std::uint16_t size = 0;          // bytes, for the budget
  std::uint16_t frame_number = 0;  // of the dependency descriptor, as sent
  std::uint16_t picture_id = 0;    // VP8's and VP9's fields as sent
  std::uint8_t tl0_pic_idx = 0;
  std::uint8_t keyidx = 0;
  bool marker = false;
};

enum class ResendVerdict : std::uint8_t {
  kSend,
  kUnknown,     // never sent, or the ring has moved on
  kTooSoon,     // resent less than an RTT ago
  kExhausted,   // resent 3 times already
  kOverBudget,  // the byte budget is spent
};

struct ResendConfig {
  std::uint16_t entries = 512;  // power of two
  std::uint8_t max_resends = 3;
  TimeNs min_interval = 10 * kMillisecond;   // floor of the RTT guard
  TimeNs max_interval = 100 * kMillisecond;  // its ceiling
  // Each media byte earns one byte of resends, so that NACKs at most double the egress; this much may be saved up.
  std::int64_t max_credit_bytes = 256 * 1024;
  std::int64_t first_credit_bytes = 16 * 1024;
};

class ForwardSequencer {
 public:
  // The ring is allocated at the first `record`.
  explicit ForwardSequencer(const ResendConfig& config = {});

  void record(const SentPacket& sent, TimeNs now);

  // One NACKed sequence number. On kSend `out` is filled, the resend is counted and paid for. `rtt` 0 = unknown.
  ResendVerdict request(std::uint16_t seq, TimeNs now, TimeNs rtt, SentPacket& out);
  // The same for a resend that left at `lost` and did not arrive. One that was repeated meanwhile waits for its own
  // fate.
  ResendVerdict repeat(std::uint16_t seq, TimeNs lost, TimeNs now, SentPacket& out);

  [[nodiscard]] std::int64_t credit_bytes() const { return credit_; }
  void clear();

 private:
  struct Entry {
    SentPacket sent;
    std::uint32_t last_ms = 0;  // when it was last sent or resent, wrapping
    std::uint8_t resends = 0;
    bool used = false;
  };

  Entry* find(std::uint16_t seq);
  ResendVerdict pay(Entry& entry, TimeNs now, SentPacket& out);

  ResendConfig config_;
  std::vector<Entry> ring_;
  std::int64_t credit_;
};

}  // namespace parley
