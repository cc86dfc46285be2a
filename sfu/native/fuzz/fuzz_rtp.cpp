// Any packet: parse, read extensions, write it out again under other ids, parse the result: fields and payload must
// hold.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "rtp_write.h"

namespace {

parley::ExtensionIds ids(std::uint8_t shift) {
  parley::ExtensionIds result;
  for (std::uint8_t i = 0; i < parley::kExtensionCount; ++i) {
    const auto id = static_cast<std::uint8_t>(i + 1 + shift);
    result.set(static_cast<parley::Extension>(i), id >= 15 ? static_cast<std::uint8_t>(id + 1) : id);
  }
  return result;
}

void rewrite(const parley::Packet& packet, const parley::ExtensionIds& send_ids) {
  const parley::HeaderTemplate header(send_ids, "17");
  parley::ExtensionPlan plan;
  plan.build(packet, send_ids);
  std::array<std::uint8_t, 4096> out{};
  const parley::RtpRewrite fields{
      .ssrc = 7, .timestamp = 8, .abs_send_time = 9, .seq = 10, .twcc_seq = 11, .pt = 96, .marker = true};
  const std::size_t size = parley::write_rtp(packet, header, plan, fields, {}, out);
  if (size == 0) {
    return;
  }
  const auto again = parley::parse_rtp(parley::Bytes(out).first(size));
  if (!again || again->ssrc != 7 || again->timestamp != 8 || again->seq != 10 || again->pt != 96 || !again->marker ||
      !std::ranges::equal(again->payload(), packet.rtp.payload())) {
    std::abort();
  }
  const auto table = parley::read_extensions(*again, send_ids);
  for (const auto kept : {parley::Extension::kAudioLevel, parley::Extension::kDependencyDescriptor}) {
    if (packet.extensions.has(kept) && table.has(kept) &&
        !std::ranges::equal(packet.extensions.get(packet.rtp, kept), table.get(*again, kept))) {
      std::abort();
    }
  }
  if (table.has(parley::Extension::kRid) || parley::read_twcc_seq(*again, table) != 11) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto rtp = parley::parse_rtp({data, size});
  if (!rtp) {
    return 0;
  }
  parley::Packet packet;
  packet.rtp = *rtp;
  packet.extensions = parley::read_extensions(*rtp, ids(0));
  (void)parley::read_audio_level(*rtp, packet.extensions);
  for (unsigned id = 0; id < 256; id += 5) {
    (void)parley::find_extension(*rtp, static_cast<std::uint8_t>(id));
  }
  rewrite(packet, ids(0));
  rewrite(packet, ids(100));
  return 0;
}
