#include "injected_record.h"

namespace parley {

namespace {

std::uint64_t load_little(Bytes data, std::size_t offset, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t byte = 0; byte < size; ++byte) {
    value |= static_cast<std::uint64_t>(data[offset + byte]) << (8 * byte);
  }
  return value;
}

constexpr std::size_t kSsrcOffset = 32;
constexpr std::size_t kReportBytes = 16;

}  // namespace

std::optional<SenderInfo> InjectedRecord::report() const {
  if (body.size() != kReportBytes) {
    return std::nullopt;
  }
  return SenderInfo{.ssrc = ssrc,
                    .ntp = load_little(body, 0, 8),
                    .rtp_timestamp = static_cast<std::uint32_t>(load_little(body, 8, 4)),
                    .packet_count = static_cast<std::uint32_t>(load_little(body, 12, 4))};
}

std::optional<InjectedRecord> take_record(MutableBytes& datagram) {
  if (datagram.size() < TapSink::kHeaderBytes) {
    return std::nullopt;
  }
  const std::uint64_t size = load_little(datagram, 0, 4);
  if (size < TapSink::kHeaderBytes || size > datagram.size()) {
    return std::nullopt;
  }
  const InjectedRecord record{.kind = static_cast<TapKind>(datagram[4]),
                              .ssrc = static_cast<std::uint32_t>(load_little(datagram, kSsrcOffset, 4)),
                              .body = datagram.subspan(TapSink::kHeaderBytes, size - TapSink::kHeaderBytes)};
  datagram = datagram.subspan(size);
  return record;
}

}  // namespace parley
