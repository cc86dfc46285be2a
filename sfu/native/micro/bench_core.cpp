// Nanoseconds per call of what one packet costs outside crypto and the kernel. One line per measurement: name, ns.
// Usage: bench_core [rounds]
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <vector>

#include "codec_peek/codec_peek.h"
#include "demux.h"
#include "forward_sequencer.h"
#include "layer_gate.h"
#include "munger.h"
#include "nack_generator.h"
#include "packet_store.h"
#include "path_table.h"
#include "receive_stats.h"
#include "rtp_write.h"
#include "twcc_recorder.h"

namespace {

using namespace parley;

// Keeps a result from being optimised away.
template <typename T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

// The best of five runs, in ns per call.
template <typename Body>
void measure(std::string_view name, std::size_t rounds, Body&& body) {
  double best = 1e12;
  for (int run = 0; run < 5; ++run) {
    const std::clock_t start = std::clock();  // CPU time: a busy machine does not count
    for (std::size_t i = 0; i < rounds; ++i) {
      body(i);
    }
    const double took = static_cast<double>(std::clock() - start) * (1e9 / CLOCKS_PER_SEC);
    best = std::min(best, took / static_cast<double>(rounds));
  }
  std::printf("%-28.*s %8.1f ns\n", static_cast<int>(name.size()), name.data(), best);
}

// A VP8 packet of 1200 bytes as Chromium sends it: mid, transport-wide number, abs-send-time, orientation.
class Packets {
 public:
  Packets() {
    ids_.set(Extension::kMid, 4);
    ids_.set(Extension::kTwcc, 3);
    ids_.set(Extension::kAbsSendTime, 2);
    ids_.set(Extension::kVideoOrientation, 13);
    Writer out(bytes_);
    out.u8(0x90);
    out.u8(96);
    out.u16(0);
    out.u32(0);
    out.u32(0xCAFE);
    out.u16(0xBEDE);
    out.u16(3);
    out.bytes(std::to_array<std::uint8_t>({0x40, '0', 0x31, 0, 0, 0x22, 0, 0, 0, 0xD0, 0, 0}));
    out.bytes(std::to_array<std::uint8_t>({0x90, 0xE0, 0x80, 0x00, 0x00, 0x20, 0x11}));
    out.fill(0x55, bytes_.size() - out.size());
  }

  // The packet with number `i`, its picture id moving on every fourth packet.
  Bytes data(std::size_t i) {
    store_u16(bytes_, 2, static_cast<std::uint16_t>(i));
    store_u32(bytes_, 4, static_cast<std::uint32_t>(i / 4 * 3000));
    store_u16(bytes_, 30, static_cast<std::uint16_t>(0x8000U | (i / 4 & 0x7FFFU)));
    bytes_[28] = i % 4 == 0 ? 0x90 : 0x80;
    return bytes_;
  }

  // Parsed as the receive side does it.
  Packet packet(std::size_t i) {
    Packet packet;
    packet.rtp = *parse_rtp(data(i));
    packet.extensions = read_extensions(packet.rtp, ids_);
    packet.payload = peek_.peek(Codec::kVp8, packet.rtp, packet.extensions);
    packet.codec = Codec::kVp8;
    packet.ext_seq = static_cast<std::int64_t>(i);
    packet.arrival = static_cast<TimeNs>(i) * kMillisecond;
    return packet;
  }

  [[nodiscard]] const ExtensionIds& ids() const { return ids_; }

 private:
  std::array<std::uint8_t, 1200> bytes_{};
  ExtensionIds ids_;
  CodecPeek peek_;
};

// One forward of the track.
struct Forward {
  explicit Forward(const ExtensionIds& ids) : header(ids, "7"), munger(1, 1) { gate.set_active(1, false); }

  std::size_t send(const Packet& packet, const ExtensionPlan& plan, MutableBytes out) {
    const auto decision = gate.decide(packet);
    const auto munged = decision.verdict == GateVerdict::kSwitch
                            ? munger.switch_source(packet, std::nullopt, 90'000, packet.arrival)
                            : munger.forward(packet, decision.set_marker, packet.arrival).value_or(Munged{});
    const RtpRewrite rewrite{.ssrc = 0xBEEF,
                             .timestamp = munged.timestamp,
                             .abs_send_time = 1,
                             .seq = munged.seq(),
                             .twcc_seq = twcc_seq++,
                             .pt = 100,
                             .marker = munged.marker};
    return write_rtp(packet, header, plan, rewrite,
                     payload_patch(packet, munged.picture_id, munged.tl0_pic_idx, munged.keyidx), out);
  }

  HeaderTemplate header;
  LayerGate gate{true};
  Munger munger;
  std::uint16_t twcc_seq = 0;
};

// A keyframe, so that gates open.
Packet keyframe(Packets& packets) {
  Packet first = packets.packet(0);
  first.payload.keyframe_start = true;
  return first;
}

void bench_receive(std::size_t rounds) {
  Packets packets;
  measure("classify", rounds, [&](std::size_t i) { keep(classify(packets.data(i))); });
  PathTable paths(1);
  std::vector<Endpoint> remotes;
  std::array<std::byte, 512> owners;  // only their addresses are looked at
  for (std::uint16_t port = 1; port <= 500; ++port) {
    remotes.push_back(*Endpoint::parse("192.0.2.1", port));
    (void)paths.put(0, remotes.back(), static_cast<Transport*>(static_cast<void*>(&owners[port])));
  }
  measure("transport of an address, 500", rounds,
          [&](std::size_t i) { keep(paths.find(0, remotes[i * 7 % remotes.size()])); });
  measure("rtp parse", rounds, [&](std::size_t i) { keep(parse_rtp(packets.data(i))); });
  measure("parse, extensions, peek", rounds, [&](std::size_t i) { keep(packets.packet(i)); });

  PacketStore store;
  measure("packet_store put", rounds, [&](std::size_t i) {
    Packet packet = packets.packet(i);
    keep(store.put(packet));
    if (i + 1 == rounds) {
      store.clear();
    }
  });
  for (std::size_t i = 0; i < 64; ++i) {
    (void)store.put(packets.packet(i));
  }
  measure("packet_store get", rounds,
          [&](std::size_t i) { keep(store.get(static_cast<std::int64_t>(i % 64), 64 * kMillisecond)); });

  NackGenerator nack;
  std::int64_t seq = 0;
  measure("nack_generator in order", rounds, [&](std::size_t) { keep(nack.receive(++seq, 0)); });
  TwccRecorder twcc;
  std::uint16_t twcc_seq = 0;
  std::array<std::uint8_t, 1200> buffer;
  TimeNs now = 0;
  measure("twcc receive and feedback", rounds, [&](std::size_t) {
    twcc.receive(++twcc_seq, now += kMillisecond);
    if (twcc.is_due(now)) {
      Writer out(buffer);
      keep(twcc.build(out, 1, 2, now));
    }
  });
  ReceiveStats stats(90'000);
  std::int64_t stats_seq = 0;
  measure("receive_stats", rounds, [&](std::size_t) {
    ++stats_seq;
    stats.receive(stats_seq, static_cast<std::uint32_t>(stats_seq * 750), 1200, false, stats_seq * kMillisecond);
  });
}

void bench_send(std::size_t rounds) {
  Packets packets;
  const Packet packet = packets.packet(1);
  ExtensionPlan plan;
  measure("extension plan", rounds, [&](std::size_t) {
    plan.build(packet, packets.ids());
    keep(plan);
  });
  const HeaderTemplate header(packets.ids(), "7");
  std::array<std::uint8_t, 1600> out;
  measure("rtp_write 1200", rounds, [&](std::size_t i) {
    keep(write_rtp(packet, header, plan, {.ssrc = 1, .seq = static_cast<std::uint16_t>(i), .pt = 96},
                   payload_patch(packet, 1, 2, 3), out));
  });
  LayerGate gate(true);
  gate.set_active(1, false);
  keep(gate.decide(keyframe(packets)));
  measure("layer_gate", rounds, [&](std::size_t) { keep(gate.decide(packet)); });
  Munger munger(0, 0);
  (void)munger.switch_source(keyframe(packets), std::nullopt, 90'000, 0);
  Packet moving = packets.packet(1);
  measure("munger", rounds, [&](std::size_t) {
    ++moving.ext_seq;
    keep(munger.forward(moving, false, 0));
  });
  ForwardSequencer sequencer;
  measure("forward_sequencer record", rounds,
          [&](std::size_t i) { sequencer.record({.seq = static_cast<std::uint16_t>(i), .size = 1200}, 0); });
}

// One received packet, parsed once, to `count` forwards: ns per forwarded packet, everything but crypto and I/O.
void bench_forward(std::size_t rounds, std::size_t count, std::string_view name) {
  Packets packets;
  std::vector<Forward> forwards(count, Forward(packets.ids()));
  std::array<std::uint8_t, 1600> out;
  ExtensionPlanner planner;
  for (auto& forward : forwards) {
    const Packet first = keyframe(packets);
    planner.start(first);
    keep(forward.send(first, planner.plan(packets.ids()), out));
  }
  std::size_t number = 0;
  measure(name, rounds / count, [&](std::size_t) {
    const Packet packet = packets.packet(++number);
    planner.start(packet);
    for (auto& forward : forwards) {
      keep(forward.send(packet, planner.plan(packets.ids()), out));
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  bench_receive(rounds);
  bench_send(rounds);
  bench_forward(rounds, 1, "whole path, 1 forward");
  bench_forward(rounds, 100, "whole path, 100 forwards *100");
  return 0;
}
