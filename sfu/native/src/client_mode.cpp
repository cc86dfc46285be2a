#include "client_mode.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "rtcp_sender.h"
#include "rtp_receiver.h"

namespace parley {

namespace {

constexpr std::size_t kMinSize = 64;
constexpr std::size_t kMaxSize = 1400;

}  // namespace

void SendStamp::write(MutableBytes payload_end) const {
  store_u32(payload_end, 0, kMagic);
  store_u32(payload_end, 4, count);
  store_u32(payload_end, 8, static_cast<std::uint32_t>(static_cast<std::uint64_t>(sent) >> 32));
  store_u32(payload_end, 12, static_cast<std::uint32_t>(sent));
}

std::optional<SendStamp> SendStamp::read(Bytes payload) {
  if (payload.size() < kBytes) {
    return std::nullopt;
  }
  const Bytes end = payload.last(kBytes);
  if (load_u32(end, 0) != kMagic) {
    return std::nullopt;
  }
  const std::uint64_t sent = (static_cast<std::uint64_t>(load_u32(end, 8)) << 32) | load_u32(end, 12);
  return SendStamp{load_u32(end, 4), static_cast<TimeNs>(sent)};
}

void LatencyHistogram::add(TimeNs latency) {
  const auto us = static_cast<std::uint64_t>(std::max<TimeNs>(latency / kMicrosecond, 1));
  const auto power = static_cast<std::size_t>(std::bit_width(us) - 1);
  const std::size_t step = power >= 4 ? (us >> (power - 4)) & 15 : (us << (4 - power)) & 15;
  ++buckets_[std::min(power * kSteps + step, kBuckets - 1)];
  ++count_;
}

void LatencyHistogram::add(const LatencyHistogram& other) {
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    buckets_[bucket] += other.buckets_[bucket];
  }
  count_ += other.count_;
}

TimeNs LatencyHistogram::quantile(double q) const {
  const auto wanted = static_cast<std::uint64_t>(q * static_cast<double>(count_));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += buckets_[bucket];
    if (seen > wanted || (seen == count_ && count_ != 0)) {
      const std::size_t power = bucket / kSteps;
      const auto base = static_cast<double>(std::uint64_t{1} << power);
      return static_cast<TimeNs>(base * (1.0 + static_cast<double>(bucket % kSteps) / kSteps) * kMicrosecond);
    }
  }
  return 0;
}

ClientReceiver::Source* ClientReceiver::source_of(std::uint32_t ssrc) {
  for (Source& source : sources_) {
    if (source.ssrc == ssrc) {
      return &source;
    }
  }
  if (sources_.size() == kMaxSources) {
    return nullptr;
  }
  sources_.emplace_back();
  sources_.back().ssrc = ssrc;
  return &sources_.back();
}

bool ClientReceiver::hold(Bytes datagram) {
  if (held_.size() == kMaxHeld) {
    return false;
  }
  held_.emplace_back(datagram.begin(), datagram.end());
  return true;
}

void ClientReceiver::receive_rtp(Transport& transport, MutableBytes datagram, TimeNs now, WorkerContext& context) {
  if (loss_permille_ != 0 && context.random() % 1000 < loss_permille_) {
    return;
  }
  const bool is_repair = rtx_pt_ >= 0 && (datagram[1] & 0x7f) == rtx_pt_;
  received_ += is_repair ? 0 : 1;
  Bytes packet = datagram;
  if (transport.srtp.can_receive()) {
    std::size_t size = datagram.size();
    const SrtpError error = transport.srtp.unprotect_rtp(datagram.data(), size);
    if (error != SrtpError::kNone) {
      count_rejected(context, transport, error);
      return;
    }
    note_authentic(context, transport, now);
    packet = datagram.first(size);
  }
  if (first_packet_ == 0) {
    first_packet_ = now;
  }
  const auto rtp = parse_rtp(packet);
  if (is_repair) {
    if (rtp && transport.srtp.can_receive()) {
      take_repair(*rtp, now);
    }
    return;
  }
  // The header is in the clear: loss is known without keys.
  if (Source* source = source_of(load_u32(packet, 8))) {
    const std::int64_t ext_seq = source->seqs.unwrap(load_u16(packet, 2));
    source->stats.receive(ext_seq, load_u32(packet, 4), packet.size(), false, now);
    if (rtx_pt_ >= 0) {
      source->nack.receive(ext_seq, now);
    }
  }
  if (!transport.srtp.can_receive()) {
    return;
  }
  ask_for_missing(transport, now, context);
  ++checked_;
  const auto stamp = rtp ? SendStamp::read(rtp->payload()) : std::nullopt;
  if (stamp) {
    latency_.add(now - stamp->sent);
    if (rtp->marker) {
      frames_.add(now - stamp->sent);
    }
  }
}

// Which source a repair belongs to is known by what that source misses (RFC 4588 section 5.3).
void ClientReceiver::take_repair(const RtpView& rtx, TimeNs now) {
  if (rtx.payload().size() < 2) {
    return;  // a probe
  }
  const std::uint16_t seq = load_u16(rtx.payload(), 0);
  for (Source& source : sources_) {
    const std::int64_t ext_seq = source.seqs.peek(seq);
    if (ext_seq <= source.seqs.highest() && source.nack.receive(ext_seq, now) == NackOutcome::kRecovered) {
      source.stats.receive(ext_seq, rtx.timestamp, rtx.packet.size(), true, now);
      ++repaired_;
      ++received_;
      return;
    }
  }
}

void ClientReceiver::ask_for_missing(Transport& transport, TimeNs now, WorkerContext& context) {
  std::array<std::uint16_t, 64> missing;
  for (Source& source : sources_) {
    if (source.nack.deadline() > now) {
      continue;
    }
    const std::size_t count = source.nack.poll(now, transport.rtt, missing);
    if (count == 0) {
      continue;
    }
    const MutableBytes buffer = context.arena.claim();
    Writer writer(buffer.first(kMaxRtcpBytes));
    append_receiver_report(writer, transport.local_ssrc, {});
    append_nack(writer, transport.local_ssrc, source.ssrc, std::span(missing).first(count));
    queue_rtcp(context, transport, buffer, writer.size());
  }
}

void ClientReceiver::receive_rtcp(Transport&, Bytes compound, TimeNs now) {
  RtcpReader reader(compound);
  while (const auto message = reader.next()) {
    if (message->kind == RtcpKind::kSenderReport) {
      if (const auto info = read_sender_info(*message)) {
        if (Source* source = source_of(info->ssrc)) {
          source->stats.receive_sender_report(info->ntp, now);
        }
      }
    }
    if (message->kind == RtcpKind::kPli) {
      ++asked_keyframes_;
      if (const auto header = read_feedback_header(*message); header && keyframe_requests_.size() < kMaxSources) {
        keyframe_requests_.push_back(header->media_ssrc);
      }
    }
  }
}

bool ClientReceiver::take_keyframe_request(std::uint32_t ssrc) { return std::erase(keyframe_requests_, ssrc) != 0; }

void ClientReceiver::tick(Transport& transport, TimeNs now, WorkerContext& context) {
  if (now < next_report_ || sources_.empty()) {
    return;
  }
  next_report_ = now + kSecond;
  std::array<ReportBlock, 31> blocks;
  const std::size_t count = std::min(blocks.size(), sources_.size());
  for (std::size_t index = 0; index < count; ++index) {
    blocks[index] = sources_[index].stats.take_report(sources_[index].ssrc, now);
  }
  const MutableBytes buffer = context.arena.claim();
  Writer writer(buffer.first(kMaxRtcpBytes));
  append_receiver_report(writer, transport.local_ssrc, std::span(blocks).first(count));
  append_sdes_cname(writer, transport.local_ssrc, kCname);
  queue_rtcp(context, transport, buffer, writer.size());
}

std::int64_t ClientReceiver::lost() const {
  std::int64_t lost = 0;
  for (const Source& source : sources_) {
    lost += source.stats.lost();
  }
  return lost - static_cast<std::int64_t>(repaired_);  // the reports of a source leave repairs out
}

Generator::Generator(const AddGenerator& command, Transport& transport, TimeNs now, std::uint64_t random)
    : config_(command),
      transport_(transport),
      header_(transport.send_ids, command.mid),
      period_(static_cast<TimeNs>(1e9 * command.burst / command.packets_per_s)),
      spacing_(std::min(kSpacing, period_ / command.burst)),
      burst_start_(now),
      next_(now),
      timestamp_(static_cast<std::uint32_t>(random)),
      seq_(static_cast<std::uint16_t>((random >> 32) & 0x7fff)) {}

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
  payload[4] = static_cast<std::uint8_t>(is_start && is_keyframe_ ? 0x00 : 0x01);
}

void Generator::send(TimeNs now, WorkerContext& context) {
  if (!transport_.can_send()) {
    context.counters.add(Counter::drop_not_writable);
    return;
  }
  const MutableBytes out = context.arena.claim();
  const HeaderTemplate::Form& form = header_.form(false);
  Writer writer(out.first(config_.size));
  writer.u8(static_cast<std::uint8_t>(0x80 | (form.size > 0 ? 0x10 : 0)));
  const bool is_last = sent_in_burst_ + 1 == config_.burst && is_video(config_.codec);
  writer.u8(static_cast<std::uint8_t>((is_last ? 0x80 : 0) | config_.pt));
  writer.u16(seq_++);
  writer.u32(timestamp_);
  writer.u32(config_.ssrc);
  if (form.size > 0) {
    std::array<std::uint8_t, 32> elements = form.bytes;
    if (form.twcc_offset != 0) {
      store_u16(elements, form.twcc_offset, transport_.next_twcc++);
    }
    if (form.abs_send_time_offset != 0) {
      store_u24(elements, form.abs_send_time_offset, to_abs_send_time(now));
    }
    const std::size_t words = (form.size + 3U) / 4U;
    writer.u16(0xBEDE);
    writer.u16(static_cast<std::uint16_t>(words));
    writer.bytes(Bytes(elements).first(form.size));
    writer.fill(0, words * 4 - form.size);
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
