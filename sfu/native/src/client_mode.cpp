#include "client_mode.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "rtcp_sender.h"
#include "rtp_receiver.h"

namespace parley {

namespace {

constexpr std::size_t kLongestHeader = 128;

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

std::optional<std::uint16_t> twcc_seq_in_the_clear(Bytes datagram, const ExtensionIds& ids) {
  std::array<std::uint8_t, kLongestHeader> header{};
  const std::size_t size = std::min(datagram.size(), header.size());
  std::copy_n(datagram.begin(), size, header.begin());
  header[0] &= 0xdf;  // how long the padding is stands in the last byte, which is encrypted
  const auto rtp = parse_rtp(Bytes(header).first(size));
  return rtp ? read_twcc_seq(*rtp, read_extensions(*rtp, ids)) : std::nullopt;
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

bool ClientReceiver::loses_next(WorkerContext& context) const {
  return loss_permille_ != 0 && context.random() % 1000 < loss_permille_;
}

void ClientReceiver::receive_rtp(Transport& transport, MutableBytes datagram, TimeNs now, WorkerContext& context) {
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
      const auto header = read_feedback_header(*message);
      if (header && keyframe_requests_.size() < kMaxSources) {
        keyframe_requests_.push_back(header->media_ssrc);
        const auto asked =
            std::ranges::find(asked_keyframes_, header->media_ssrc, [](const auto& of) { return of.first; });
        if (asked != asked_keyframes_.end()) {
          ++asked->second;
        } else if (asked_keyframes_.size() < kMaxSources) {
          asked_keyframes_.emplace_back(header->media_ssrc, 1);
        }
      }
    }
  }
}

bool ClientReceiver::take_keyframe_request(std::uint32_t ssrc) { return std::erase(keyframe_requests_, ssrc) != 0; }

std::uint64_t ClientReceiver::asked_keyframes() const {
  std::uint64_t asked = 0;
  for (const auto& [ssrc, count] : asked_keyframes_) {
    asked += count;
  }
  return asked;
}

std::uint64_t ClientReceiver::asked_keyframes(std::uint32_t ssrc) const {
  const auto asked = std::ranges::find(asked_keyframes_, ssrc, [](const auto& of) { return of.first; });
  return asked == asked_keyframes_.end() ? 0 : asked->second;
}

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

}  // namespace parley
