// The load's side: what it sends, what it measures, and what it tells of what came.
#include "client_mode.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "builders.h"
#include "check.h"
#include "codec_peek/codec_peek.h"
#include "loopback.h"
#include "rtcp_build.h"
#include "transport_feedback.h"
#include "worker_bench.h"

using namespace parley;
using test::Bench;
using test::Data;

namespace {

constexpr std::uint8_t kTwccId = 3;

ExtensionIds ids() {
  ExtensionIds made;
  made.set(Extension::kMid, 1);
  made.set(Extension::kRid, 4);
  made.set(Extension::kTwcc, kTwccId);
  return made;
}

// A client with keys both ways.
void join(Bench& bench, test::Peer& server, std::uint16_t loss_permille = 0) {
  CHECK_EQ(bench.run(AddClientTransport{0, 1, 0, server.address(), loss_permille}), "");
  CHECK_EQ(bench.run(SetSrtp{1, &server.rx(), &server.rx(), *SrtpProfile::by_name("AEAD_AES_128_GCM")}), "");
}

Data numbered(std::uint16_t twcc_seq, int padding = 0) {
  return test::rtp(
      {.seq = twcc_seq,
       .ssrc = 0x11,
       .extensions = {{kTwccId, {static_cast<std::uint8_t>(twcc_seq >> 8U), static_cast<std::uint8_t>(twcc_seq)}}},
       .payload = Data(100),
       .padding = padding});
}

// Numbers that transport-wide feedback says arrived.
std::vector<std::uint16_t> told(test::Peer& server) {
  std::vector<std::uint16_t> found;
  server.collect();
  for (const Data& compound : server.rtcp) {
    RtcpReader reader(compound);
    while (const auto message = reader.next()) {
      auto feedback =
          message->kind == RtcpKind::kTransportFeedback ? TransportFeedbackReader::open(*message) : std::nullopt;
      while (const auto fate = feedback ? feedback->next() : std::nullopt) {
        if (fate->received) {
          found.push_back(fate->seq);
        }
      }
    }
  }
  server.rtcp.clear();
  return found;
}

}  // namespace

TEST(generated_packets_reach_a_client_that_measures_them) {
  Bench bench;
  test::Peer server;  // stands for the server: reads what the generator sends
  CHECK_EQ(bench.run(AddClientTransport{0, 1, 0, server.address()}), "");
  CHECK_EQ(bench.run(SetSrtp{1, &server.rx(), &server.rx(), *SrtpProfile::by_name("AEAD_AES_128_GCM")}), "");
  CHECK_EQ(bench.run(AddGenerator{10, 1, 0x77, 96, 90'000, 180, 6, 1000, "0", Codec::kVp8, {}}), "");
  CHECK_EQ(bench.run(AddGenerator{10, 1, 0x77, 96, 90'000, 180, 6, 1000, "0", Codec::kVp8, {}}), "track id in use");
  CHECK_EQ(bench.run(AddGenerator{11, 1, 0x77, 96, 90'000, 180, 6, 10, "0", Codec::kVp8, {}}),
           "a generator's size must be 64 to 1400 bytes");
  for (int i = 0; i < 1000; ++i) {
    bench.tick(kMillisecond);
    if (i % 20 == 0) {
      server.collect();
    }
  }
  server.collect();
  CHECK(server.rtp.size() >= 174 && server.rtp.size() <= 186);
  CHECK(!server.rtcp.empty());
  const Packet first = test::packet_of(server.rtp[0]);
  CHECK_EQ(first.rtp.packet.size(), 1000U);
  const auto stamp = SendStamp::read(first.rtp.payload());
  CHECK(stamp && stamp->count == 0);
  CHECK_EQ(std::count_if(server.rtp.begin(), server.rtp.begin() + 60, [](const Data& p) { return (p[1] & 0x80) != 0; }),
           10);
  for (const Data& packet : server.rtp) {
    bench.receive_rtp(server, packet);
  }
  CHECK_EQ(bench.run(RemoveGenerator{10}), "");
  CHECK_EQ(bench.run(RemoveGenerator{10}), "unknown generator");
  CHECK_EQ(bench.run(RemoveTransport{1}), "");
}

TEST(a_client_reads_what_overtook_its_keys_when_they_come) {
  Bench bench;
  test::Peer server;
  CHECK_EQ(bench.run(AddClientTransport{0, 1, 0, server.address()}), "");
  constexpr auto kSent = static_cast<std::uint16_t>(ClientReceiver::kMaxHeld + 10);
  for (std::uint16_t seq = 1; seq <= kSent; ++seq) {
    bench.receive_rtp(server, test::opus_packet(seq, 0x11));
  }
  CHECK(bench.of<ProvenEvent>().empty());
  CHECK_EQ(bench.counter(Counter::drop_media_before_keys), 10);
  CHECK_EQ(bench.run(SetSrtp{1, &server.rx(), &server.rx(), *SrtpProfile::by_name("AEAD_AES_128_GCM")}), "");
  CHECK_EQ(bench.of<ProvenEvent>().size(), 1U);
  CHECK_EQ(bench.counter(Counter::rtp_received), static_cast<std::int64_t>(ClientReceiver::kMaxHeld));
  CHECK_EQ(bench.counter(Counter::drop_srtp_rejected), 0);
}

TEST(a_client_tells_which_transport_wide_numbers_came) {
  Bench bench;
  test::Peer server;
  join(bench, server);
  CHECK_EQ(bench.run(SetExtensions{1, ids(), false}), "");
  bench.receive_rtp(server, numbered(65'534));
  bench.receive_rtp(server, numbered(65'535, 20));
  bench.receive_rtp(server, numbered(1));
  for (int i = 0; i < 20; ++i) {
    bench.tick();
  }
  CHECK((told(server) == std::vector<std::uint16_t>{65'534, 65'535, 1}));
}

TEST(a_client_that_only_counts_tells_of_numbers_too) {
  Bench bench;
  test::Peer server;
  CHECK_EQ(bench.run(AddClientTransport{0, 1, 0, server.address()}), "");
  CHECK_EQ(bench.run(SetSrtp{1, nullptr, &server.rx(), *SrtpProfile::by_name("AEAD_AES_128_GCM")}), "");
  CHECK_EQ(bench.run(SetExtensions{1, ids(), false}), "");
  bench.receive_rtp(server, numbered(7));
  bench.receive_rtp(server, numbered(8, 200));
  for (int i = 0; i < 20; ++i) {
    bench.tick();
  }
  CHECK((told(server) == std::vector<std::uint16_t>{7, 8}));
}

TEST(a_client_tells_nothing_of_what_its_network_lost_or_of_numbers_it_did_not_negotiate) {
  Bench bench;
  test::Peer server;
  join(bench, server, 1000);
  bench.receive_rtp(server, numbered(1));
  CHECK_EQ(bench.run(SetExtensions{1, ids(), false}), "");
  bench.receive_rtp(server, numbered(2));
  for (int i = 0; i < 20; ++i) {
    bench.tick();
  }
  CHECK(told(server).empty());
}

TEST(encodings_are_named_sized_and_counted_apart) {
  Bench bench;
  test::Peer server;
  join(bench, server);
  CHECK_EQ(bench.run(SetExtensions{1, ids(), true}), "");
  CHECK_EQ(bench.run(AddGenerator{10, 1, 0x77, 96, 90'000, 180, 6, 1000, "0", Codec::kVp8, std::string(17, 'x')}),
           "a generator's rid must have at most 16 characters");
  CHECK_EQ(bench.run(AddGenerator{10, 1, 0x77, 96, 90'000, 20, 1, 1000, "0", Codec::kVp8, "l", 180}), "");
  CHECK_EQ(bench.run(AddGenerator{11, 1, 0x78, 96, 90'000, 20, 1, 1000, "0", Codec::kVp8, "h", 720}), "");
  bench.tick();
  std::vector<std::uint8_t> pli(1200);
  Writer writer(pli);
  append_receiver_report(writer, 1, {});
  append_pli(writer, 1, 0x78);
  pli.resize(writer.size());
  bench.receive_rtcp(server, pli);
  bench.tick();
  server.collect();
  CHECK(server.rtp.size() >= 2);
  for (const Data& data : server.rtp) {
    const Packet packet = test::packet_of(data, ids());
    const bool is_low = load_u32(data, 8) == 0x77;
    CHECK_EQ(as_text(packet.extensions.get(packet.rtp, Extension::kRid)), is_low ? "l" : "h");
    CHECK_EQ(as_text(packet.extensions.get(packet.rtp, Extension::kMid)), "0");
    CodecPeek peek;
    const PayloadInfo payload = peek.peek(Codec::kVp8, packet.rtp, packet.extensions);
    CHECK(payload.keyframe_start);
    CHECK_EQ(payload.height, is_low ? 180 : 720);
  }
  std::vector<std::int64_t> asked;
  (void)bench.run(QueryStats{0});  // answered by its event
  const std::vector<StatsEvent> stats = bench.of<StatsEvent>();
  for (const StatsMap& row : stats.at(0).tracks) {
    for (const auto& [name, value] : row) {
      if (name == "client_asked_keyframes") {
        asked.push_back(value);
      }
    }
  }
  CHECK((asked == std::vector<std::int64_t>{0, 1}));
}
