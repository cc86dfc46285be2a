// Any compound: every reader on every message; counts stay within the bytes.
#include <cstdlib>

#include "rtcp_view.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  parley::RtcpReader reader(parley::Bytes(data, size));
  std::size_t messages = 0;
  while (const auto message = reader.next()) {
    ++messages;
    (void)parley::read_sender_info(*message);
    for (std::size_t i = 0; i < parley::report_block_count(*message); ++i) {
      if (!parley::read_report_block(*message, i)) {
        std::abort();
      }
    }
    (void)parley::read_feedback_header(*message);
    std::size_t nacked = 0;
    parley::for_each_nacked(*message, [&nacked](std::uint16_t) { ++nacked; });
    if (nacked > size * 17 / 4) {
      std::abort();
    }
    for (std::size_t i = 0; i < parley::fir_entry_count(*message); ++i) {
      (void)parley::read_fir_entry(*message, i);
    }
    (void)parley::read_remb(*message);
    for (std::size_t i = 0; i < parley::bye_count(*message); ++i) {
      (void)parley::read_bye_ssrc(*message, i);
    }
    (void)parley::read_cname(*message);
  }
  if (messages > size / 4) {
    std::abort();
  }
  return 0;
}
