#include "rtp_write.h"

#include <bit>

#include "demux.h"

namespace parley {

namespace {

constexpr std::size_t kMaxOneByteSize = 16;

constexpr std::uint32_t bit_of(Extension extension) { return 1U << static_cast<unsigned>(extension); }

constexpr std::uint32_t kPassThrough = bit_of(Extension::kAudioLevel) | bit_of(Extension::kVideoOrientation) |
                                       bit_of(Extension::kDependencyDescriptor) | bit_of(Extension::kPlayoutDelay) |
                                       bit_of(Extension::kContentType) | bit_of(Extension::kVideoTiming) |
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

// Copies own and passed-on elements behind each other. Where there is room (the payload is written later, over what is
// copied too much), in blocks of fixed size.
void copy_elements(MutableBytes to, const HeaderTemplate::Form& form, const ExtensionPlan& plan) {
  const Bytes elements = plan.elements();
  if (to.size() >= HeaderTemplate::Form::kCapacity + ExtensionPlan::kBlock &&
      elements.size() <= ExtensionPlan::kBlock) {
    copy_block<HeaderTemplate::Form::kCapacity>(to, 0, form.bytes);
    copy_block<ExtensionPlan::kBlock>(to, form.size, plan.block());
  } else {
    copy_to(to, 0, Bytes(form.bytes).first(form.size));
    copy_to(to, form.size, elements);
  }
}

// The fixed header and the extension block. `payload_size` counts all that follows and is written after. Returns the
// payload's offset, or 0 when the packet does not fit.
std::size_t write_header(const HeaderTemplate& header, const ExtensionPlan& plan, const RtpRewrite& rewrite,
                         std::size_t payload_size, MutableBytes out) {
  const HeaderTemplate::Form& form = header.form(plan.is_two_byte());
  const std::size_t size = form.size + plan.elements().size();
  const std::size_t words = (size + 3) / 4;
  const std::size_t elements_at = kRtpHeaderSize + 4;
  const std::size_t offset = size == 0 ? kRtpHeaderSize : elements_at + words * 4;
  if (offset + payload_size > out.size()) {
    return 0;
  }
  out[0] = static_cast<std::uint8_t>(size == 0 ? 0x80U : 0x90U);
  out[1] = static_cast<std::uint8_t>((rewrite.marker ? 0x80U : 0U) | (rewrite.pt & 0x7FU));
  store_u16(out, 2, rewrite.seq);
  store_u32(out, 4, rewrite.timestamp);
  store_u32(out, 8, rewrite.ssrc);
  if (size == 0) {
    return offset;
  }
  store_u16(out, kRtpHeaderSize, plan.is_two_byte() ? kTwoByteProfile : kOneByteProfile);
  store_u16(out, kRtpHeaderSize + 2, static_cast<std::uint16_t>(words));
  copy_elements(out.subspan(elements_at), form, plan);
  if (form.twcc_offset != 0) {
    store_u16(out, elements_at + form.twcc_offset, rewrite.twcc_seq);
  }
  if (form.abs_send_time_offset != 0) {
    store_u24(out, elements_at + form.abs_send_time_offset, rewrite.abs_send_time);
  }
  if (rewrite.frame_number >= 0 && plan.descriptor_offset() != 0) {
    // Behind the flags and the template id (RTP Payload Format for AV1, appendix A.8.1).
    store_u16(out, elements_at + form.size + plan.descriptor_offset() + 1,
              static_cast<std::uint16_t>(rewrite.frame_number));
  }
  for (std::size_t at = elements_at + size; at < offset; ++at) {
    out[at] = 0;  // padding to the word
  }
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
  descriptor_offset_ = 0;
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
    const Bytes value = packet.extensions.get(packet.rtp, extension);
    const std::size_t offset = append_element(out, two_byte_, send_ids.id(extension), value);
    if (!out.ok()) {
      out.rewind(before);  // no room: this element is left out, smaller ones may still fit
    } else if (extension == Extension::kDependencyDescriptor && value.size() >= 3) {
      descriptor_offset_ = static_cast<std::uint16_t>(offset);
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

StampOffsets stamp_offsets(const HeaderTemplate& header, const ExtensionPlan& plan) {
  const HeaderTemplate::Form& form = header.form(plan.is_two_byte());
  const auto offset = [](std::uint8_t in_elements) {
    return static_cast<std::uint16_t>(in_elements == 0 ? 0U : kRtpHeaderSize + 4 + in_elements);
  };
  return {.twcc = offset(form.twcc_offset), .abs_send_time = offset(form.abs_send_time_offset)};
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
  std::size_t offset = write_header(header, plan, rewrite, payload_size, out);
  if (offset == 0) {
    return 0;
  }
  if (is_rtx) {
    store_u16(out, offset, static_cast<std::uint16_t>(rewrite.original_seq));
    offset += 2;
  }
  if (patch.size > 0) {
    if (out.size() - offset >= patch.bytes.size()) {
      copy_block<sizeof(patch.bytes)>(out, offset, patch.bytes);
    } else {
      copy_to(out, offset, Bytes(patch.bytes).first(patch.size));
    }
    offset += patch.size;
  }
  copy_to(out, offset, rest);
  return offset + rest.size();
}

}  // namespace parley
