#include "rtp_write.h"

#include <bit>

#include "demux.h"

namespace parley {

namespace {

constexpr std::uint16_t kOneByteProfile = 0xBEDE;
constexpr std::uint16_t kTwoByteProfile = 0x1000;
constexpr std::size_t kMaxOneByteSize = 16;

constexpr std::uint32_t bit_of(Extension extension) { return 1U << static_cast<unsigned>(extension); }

constexpr std::uint32_t kPassThrough =
    bit_of(Extension::kAudioLevel) | bit_of(Extension::kVideoOrientation) | bit_of(Extension::kDependencyDescriptor) |
    bit_of(Extension::kPlayoutDelay) | bit_of(Extension::kContentType) | bit_of(Extension::kVideoTiming) |
    bit_of(Extension::kColorSpace) | bit_of(Extension::kAbsCaptureTime);

// Writes one element; returns the offset of its value, 0 when this form cannot carry it.
std::size_t append_element(Writer& out, bool two_byte, std::uint8_t id, Bytes value) {
  if (two_byte) {
    out.u8(id);
    out.u8(static_cast<std::uint8_t>(value.size()));
  } else {
    if (id == 0 || id > 14 || value.empty() || value.size() > kMaxOneByteSize) {
      return 0;
    }
    out.u8(static_cast<std::uint8_t>((static_cast<unsigned>(id) << 4U) | (value.size() - 1)));
  }
  const std::size_t offset = out.size();
  out.bytes(value);
  return out.ok() ? offset : 0;
}

// The fixed header and the extension block. `payload_size` counts all that follows. Returns the payload's offset, or 0
// when the packet does not fit.
std::size_t write_header(const HeaderTemplate::Form& form, bool two_byte, Bytes elements, const RtpRewrite& rewrite,
                         bool has_padding, std::size_t payload_size, MutableBytes out) {
  const std::size_t block = form.size + elements.size();
  const std::size_t words = (block + 3) / 4;
  const std::size_t offset = kRtpHeaderSize + (block == 0 ? 0 : 4 + words * 4);
  if (offset + payload_size > out.size()) {
    return 0;
  }
  out[0] = static_cast<std::uint8_t>(0x80U | (has_padding ? 0x20U : 0U) | (block == 0 ? 0U : 0x10U));
  out[1] = static_cast<std::uint8_t>((rewrite.marker ? 0x80U : 0U) | (rewrite.pt & 0x7FU));
  store_u16(out, 2, rewrite.seq);
  store_u32(out, 4, rewrite.timestamp);
  store_u32(out, 8, rewrite.ssrc);
  if (block == 0) {
    return offset;
  }
  const MutableBytes extension = out.subspan(kRtpHeaderSize, 4 + words * 4);
  store_u32(extension, extension.size() - 4, 0);  // the padding, before what overwrites the rest of its word
  store_u16(extension, 0, two_byte ? kTwoByteProfile : kOneByteProfile);
  store_u16(extension, 2, static_cast<std::uint16_t>(words));
  copy_to(extension, 4, Bytes(form.bytes).first(form.size));
  if (form.twcc_offset != 0) {
    store_u16(extension, 4U + form.twcc_offset, rewrite.twcc_seq);
  }
  if (form.abs_send_time_offset != 0) {
    store_u24(extension, 4U + form.abs_send_time_offset, rewrite.abs_send_time);
  }
  copy_to(extension, 4U + form.size, elements);
  return offset;
}

}  // namespace

HeaderTemplate::HeaderTemplate(const ExtensionIds& send_ids, std::string_view mid) {
  constexpr std::array<std::uint8_t, 3> kBlank{};
  for (const bool two_byte : {false, true}) {
    Form& form = forms_[two_byte ? 1 : 0];
    Writer out(form.bytes);
    if (send_ids.has(Extension::kTwcc)) {
      form.twcc_offset = static_cast<std::uint8_t>(
          append_element(out, two_byte, send_ids.id(Extension::kTwcc), Bytes(kBlank).first(2)));
    }
    if (send_ids.has(Extension::kAbsSendTime)) {
      form.abs_send_time_offset =
          static_cast<std::uint8_t>(append_element(out, two_byte, send_ids.id(Extension::kAbsSendTime), kBlank));
    }
    if (send_ids.has(Extension::kMid) && !mid.empty() && mid.size() <= kMaxMidSize) {
      append_element(out, two_byte, send_ids.id(Extension::kMid), as_bytes(mid));
    }
    form.size = static_cast<std::uint8_t>(out.size());
  }
}

void ExtensionPlan::build(const Packet& packet, const ExtensionIds& send_ids) {
  two_byte_ = send_ids.needs_two_byte_form();
  size_ = 0;
  const std::uint32_t candidates = packet.extensions.present() & kPassThrough;
  if (candidates == 0) {
    return;
  }
  for (std::uint32_t rest = candidates; rest != 0 && !two_byte_; rest &= rest - 1) {
    const auto extension = static_cast<Extension>(std::countr_zero(rest));
    const std::size_t size = packet.extensions.get(packet.rtp, extension).size();
    two_byte_ = send_ids.has(extension) && (size == 0 || size > kMaxOneByteSize);
  }
  Writer out(bytes_);
  for (std::uint32_t rest = candidates; rest != 0; rest &= rest - 1) {
    const auto extension = static_cast<Extension>(std::countr_zero(rest));
    if (!send_ids.has(extension)) {
      continue;
    }
    const std::size_t before = out.size();
    append_element(out, two_byte_, send_ids.id(extension), packet.extensions.get(packet.rtp, extension));
    if (!out.ok()) {
      out.rewind(before);  // no room: this element is left out, smaller ones may still fit
    }
  }
  size_ = static_cast<std::uint16_t>(out.size());
}

const ExtensionPlan& ExtensionPlanner::plan(const ExtensionIds& send_ids) {
  for (std::size_t i = 0; i < count_; ++i) {
    if (keys_[i] == &send_ids || *keys_[i] == send_ids) {
      return plans_[i];
    }
  }
  const std::size_t slot = count_ < kPlans ? count_++ : kPlans - 1;
  keys_[slot] = &send_ids;
  plans_[slot].build(*packet_, send_ids);
  return plans_[slot];
}

std::size_t write_rtp(const Packet& source, const HeaderTemplate& header, const ExtensionPlan& plan,
                      const RtpRewrite& rewrite, const PayloadPatch& patch, MutableBytes out) {
  const Bytes payload = source.rtp.payload();
  if (patch.skip > payload.size() || patch.size > patch.bytes.size()) {
    return 0;
  }
  const bool is_rtx = rewrite.original_seq >= 0;
  const Bytes rest = payload.subspan(patch.skip);
  const std::size_t payload_size = (is_rtx ? 2U : 0U) + patch.size + rest.size();
  std::size_t offset = write_header(header.form(plan.is_two_byte()), plan.is_two_byte(), plan.elements(), rewrite,
                                    false, payload_size, out);
  if (offset == 0) {
    return 0;
  }
  if (is_rtx) {
    store_u16(out, offset, static_cast<std::uint16_t>(rewrite.original_seq));
    offset += 2;
  }
  copy_to(out, offset, Bytes(patch.bytes).first(patch.size));
  offset += patch.size;
  copy_to(out, offset, rest);
  return offset + rest.size();
}

std::size_t write_padding(const HeaderTemplate& header, bool two_byte, const RtpRewrite& rewrite,
                          std::uint8_t padding_size, MutableBytes out) {
  if (padding_size == 0) {
    return 0;
  }
  const std::size_t offset = write_header(header.form(two_byte), two_byte, {}, rewrite, true, padding_size, out);
  if (offset == 0) {
    return 0;
  }
  const MutableBytes padding = out.subspan(offset, padding_size);
  std::ranges::fill(padding, std::uint8_t{0});
  padding[padding.size() - 1] = padding_size;
  return offset + padding_size;
}

}  // namespace parley
