// Arrivals driven by the input (seq step, time step), feedback built now and then: our own reader must accept every
// message and agree on what arrived.
#include <array>
#include <cstdlib>
#include <set>

#include "transport_feedback.h"
#include "twcc_recorder.h"

namespace {

void build(parley::TwccRecorder& recorder, const std::set<std::uint16_t>& arrived, std::size_t room,
           parley::TimeNs now) {
  std::array<std::uint8_t, 1500> buffer{};
  for (int i = 0; i < 2000; ++i) {
    parley::Writer out(parley::MutableBytes(buffer).first(room));
    if (!recorder.build(out, 1, 2, now)) {
      return;
    }
    parley::RtcpReader reader(out.written());
    const auto message = reader.next();
    auto feedback = message ? parley::TransportFeedbackReader::open(*message) : std::nullopt;
    if (!feedback || reader.next() || reader.malformed()) {
      std::abort();
    }
    while (const auto fate = feedback->next()) {
      if (fate->received && !arrived.contains(fate->seq)) {
        std::abort();
      }
    }
  }
  std::abort();  // it must run dry
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  parley::TwccRecorder recorder;
  std::set<std::uint16_t> arrived;
  parley::Reader reader(parley::Bytes(data, size));
  std::uint16_t seq = reader.u16();
  parley::TimeNs now = 0;
  while (!reader.empty()) {
    const std::uint8_t op = reader.u8();
    if (op < 200) {
      seq = static_cast<std::uint16_t>(seq + static_cast<std::uint16_t>(op % 20) - 5U);
    } else if (op < 210) {
      seq = static_cast<std::uint16_t>(seq + reader.u16());
    } else {
      build(recorder, arrived, 24U + op * 5U, now);
      continue;
    }
    now += reader.u8() * static_cast<parley::TimeNs>(op) * 10 * parley::kMicrosecond;
    recorder.receive(seq, now);
    arrived.insert(seq);
  }
  build(recorder, arrived, 1500, now);
  return 0;
}
