// Any transport-wide feedback: as many fates as promised, in order.
#include <cstdlib>

#include "transport_feedback.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const parley::RtcpMessage message{.kind = parley::RtcpKind::kTransportFeedback,
                                    .type = parley::kRtcpRtpfb,
                                    .count = 15,
                                    .body = parley::Bytes(data, size)};
  auto reader = parley::TransportFeedbackReader::open(message);
  if (!reader) {
    return 0;
  }
  std::uint16_t expected = reader->base_seq();
  std::size_t count = 0;
  while (const auto fate = reader->next()) {
    if (fate->seq != expected++) {
      std::abort();
    }
    ++count;
  }
  return count == reader->status_count() ? 0 : (std::abort(), 0);
}
