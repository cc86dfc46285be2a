#include "generator.h"

#include <algorithm>
#include <utility>

#include "client_mode.h"
#include "rtcp_sender.h"

namespace parley {

namespace {

constexpr std::size_t kMinSize = 64;
constexpr std::size_t kMaxSize = 1400;
constexpr std::size_t kMaxRid = 16;

}  // namespace

Generator::Generator(const AddGenerator& command, Transport& transport, TimeNs now, std::uint64_t random)
    : config_(command),
      transport_(transport),
      header_(HeaderTemplate(transport.send_ids, command.mid).form(false)),
      period_(static_cast<TimeNs>(1e9 * command.burst / command.packets_per_s)),
      spacing_(std::min(kSpacing, period_ / command.burst)),
      burst_start_(now),
      next_(now),
      timestamp_(static_cast<std::uint32_t>(random)),
      seq_(static_cast<std::uint16_t>((random >> 32) & 0x7fff)) {
  Writer out(elements_);
  out.bytes(Bytes(header_.bytes).first(header_.size));
  if (transport.send_ids.has(Extension::kRid) && !command.rid.empty()) {
    const unsigned id = transport.send_ids.id(Extension::kRid);
    out.u8(static_cast<std::uint8_t>((id << 4U) | static_cast<unsigned>(command.rid.size() - 1)));
    out.bytes(as_bytes(command.rid));
  }
  elements_size_ = out.size();
}

StatsMap Generator::stats() const {
  const auto asked = transport_.client == nullptr ? 0 : transport_.client->asked_keyframes(config_.ssrc);
  return {{"track", config_.track},
          {"transport", transport_.id},
          {"packets", count_},
          {"client_asked_keyframes", static_cast<std::int64_t>(asked)}};
}

void Generator::tick(TimeNs now, WorkerContext& context) {
  for (std::uint32_t sent = 0; next_ <= now && sent < config_.burst; ++sent) {
    if (sent_in_burst_ == 0) {
      const bool is_asked = transport_.client != nullptr && transport_.client->take_keyframe_request(config_.ssrc);
      is_keyframe_ = count_ == 0 || is_asked || now - last_keyframe_ >= kKeyframeInterval;
      if (is_keyframe_) {
        last_keyframe_ = now;
      }
    }
    send(now, context);
    if (++sent_in_burst_ < config_.burst) {
      next_ = burst_start_ + spacing_ * sent_in_burst_;
      continue;
    }
    sent_in_burst_ = 0;
    burst_start_ += period_;
    // After a stall (a starved machine) it goes on from now: a backlog sent at once would measure the stall.
    if (burst_start_ < now - 5 * period_) {
      burst_start_ = now;
    }
    next_ = burst_start_;
    timestamp_ += static_cast<std::uint32_t>(static_cast<double>(period_) * config_.clock_hz / 1e9);
    picture_id_ = static_cast<std::uint16_t>((picture_id_ + 1) & 0x7fff);
  }
  if (now >= next_report_) {
    next_report_ = now + kSecond;
    send_report(now, context);
  }
}

void Generator::write_descriptor(MutableBytes payload) const {
  if (config_.codec != Codec::kVp8) {
    return;
  }
  // RFC 7741 section 4.2: X, I with a 15-bit picture id; S on the first packet; then the frame header's P bit.
  const bool is_start = sent_in_burst_ == 0;
  payload[0] = static_cast<std::uint8_t>(0x80 | (is_start ? 0x10 : 0));
  payload[1] = 0x80;
  payload[2] = static_cast<std::uint8_t>(0x80 | (picture_id_ >> 8));
  payload[3] = static_cast<std::uint8_t>(picture_id_);
  const bool is_key = is_start && is_keyframe_;
  payload[4] = static_cast<std::uint8_t>(is_key ? 0x00 : 0x01);
  if (is_key && config_.height != 0) {
    // RFC 6386 section 9.1, behind the frame tag: the start code, then width and height, least significant byte first.
    constexpr std::array<std::uint8_t, 3> kStartCode{0x9d, 0x01, 0x2a};
    std::ranges::copy(kStartCode, payload.begin() + 7);
    const auto width = static_cast<std::uint16_t>(config_.height * 16U / 9U);
    payload[10] = static_cast<std::uint8_t>(width);
    payload[11] = static_cast<std::uint8_t>(width >> 8U);
    payload[12] = static_cast<std::uint8_t>(config_.height);
    payload[13] = static_cast<std::uint8_t>(config_.height >> 8U);
  }
}

void Generator::send(TimeNs now, WorkerContext& context) {
  if (!transport_.can_send()) {
    context.counters.add(Counter::drop_not_writable);
    return;
  }
  const MutableBytes out = context.arena.claim();
  Writer writer(out.first(config_.size));
  writer.u8(static_cast<std::uint8_t>(0x80 | (elements_size_ > 0 ? 0x10 : 0)));
  const bool is_last = sent_in_burst_ + 1 == config_.burst && is_video(config_.codec);
  writer.u8(static_cast<std::uint8_t>((is_last ? 0x80 : 0) | config_.pt));
  writer.u16(seq_++);
  writer.u32(timestamp_);
  writer.u32(config_.ssrc);
  if (elements_size_ > 0) {
    if (header_.twcc_offset != 0) {
      store_u16(elements_, header_.twcc_offset, transport_.next_twcc++);
    }
    if (header_.abs_send_time_offset != 0) {
      store_u24(elements_, header_.abs_send_time_offset, to_abs_send_time(now));
    }
    const std::size_t words = (elements_size_ + 3U) / 4U;
    writer.u16(0xBEDE);
    writer.u16(static_cast<std::uint16_t>(words));
    writer.bytes(Bytes(elements_).first(elements_size_));
    writer.fill(0, words * 4 - elements_size_);
  }
  const MutableBytes payload = out.subspan(writer.size(), config_.size - writer.size());
  std::ranges::fill(payload, std::uint8_t{0});
  write_descriptor(payload);
  SendStamp{count_, now}.write(payload.last(SendStamp::kBytes));
  std::size_t size = config_.size;
  octets_ += static_cast<std::uint32_t>(payload.size());
  ++count_;
  if (transport_.srtp.protect_rtp(out.data(), size) != SrtpError::kNone) {
    context.counters.add(Counter::drop_srtp_not_sent);
    return;
  }
  const Path& path = *transport_.path();
  context.arena.commit(path.id, size);
  ++transport_.packets_sent;
  transport_.bytes_sent += size;
}

void Generator::send_report(TimeNs now, WorkerContext& context) {
  if (!transport_.can_send()) {
    return;
  }
  const MutableBytes buffer = context.arena.claim();
  Writer writer(buffer.first(kMaxRtcpBytes));
  const auto elapsed = static_cast<double>(now - burst_start_) * config_.clock_hz / 1e9;
  append_sender_report(
      writer,
      SenderInfo{.ssrc = config_.ssrc,
                 .ntp = to_ntp(now),
                 .rtp_timestamp = timestamp_ + static_cast<std::uint32_t>(static_cast<std::int64_t>(elapsed)),
                 .packet_count = count_,
                 .octet_count = octets_},
      {});
  append_sdes_cname(writer, config_.ssrc, kCname);
  queue_rtcp(context, transport_, buffer, writer.size());
}

Refusal Generators::add(const AddGenerator& command, Registry& registry, TimeNs now, WorkerContext& context) {
  Transport* transport = registry.transport(command.transport);
  if (transport == nullptr) {
    return "unknown transport";
  }
  if (by_track_.contains(command.track)) {
    return "track id in use";
  }
  if (by_track_.size() >= kMax) {
    return "too many generators";
  }
  if (command.size < kMinSize || command.size > kMaxSize) {
    return "a generator's size must be 64 to 1400 bytes";
  }
  if (command.burst == 0 || command.burst > 1000 || !(command.packets_per_s > 0) || command.packets_per_s > 1e6) {
    return "a generator needs a burst of 1 to 1000 and up to a million packets a second";
  }
  if (command.rid.size() > kMaxRid) {
    return "a generator's rid must have at most 16 characters";
  }
  auto made = std::make_unique<Generator>(command, *transport, now, context.random());
  list_.push_back(made.get());
  by_track_.emplace(command.track, std::move(made));
  update_deadline();
  return {};
}

Refusal Generators::remove(std::uint32_t track) {
  const auto at = by_track_.find(track);
  if (at == by_track_.end()) {
    return "unknown generator";
  }
  std::erase(list_, at->second.get());
  by_track_.erase(at);
  update_deadline();
  return {};
}

void Generators::forget(const Transport& transport) {
  std::erase_if(list_, [&](Generator* generator) { return &generator->transport() == &transport; });
  std::erase_if(by_track_, [&](const auto& entry) { return &entry.second->transport() == &transport; });
  update_deadline();
}

void Generators::tick(TimeNs now, WorkerContext& context) {
  if (now < deadline_) {
    return;
  }
  for (Generator* generator : list_) {
    if (generator->deadline() <= now) {
      generator->tick(now, context);
    }
  }
  update_deadline();
}

void Generators::update_deadline() {
  deadline_ = kNever;
  for (const Generator* generator : list_) {
    deadline_ = std::min(deadline_, generator->deadline());
  }
}

}  // namespace parley
