// One worker without its thread: datagrams, commands and time go in by hand; what it sends arrives on real sockets.
#include "worker.h"

#include <memory>
#include <string>
#include <vector>

#include "builders.h"
#include "check.h"
#include "loopback.h"
#include "test_cipher.h"

using namespace parley;
using test::Data;

namespace {

class Bench {
 public:
  Bench() : page_(test::make_page(16)) {
    std::string error;
    gates.map(page_.get(), 16);
    std::vector<std::unique_ptr<UdpSocket>> sockets;
    sockets.push_back(UdpSocket::open("127.0.0.1", 0, true, error));
    worker = std::make_unique<Worker>(WorkerConfig{.coalesce = kMillisecond, .idle = kSecond, .seed = 3},
                                      std::move(sockets), gates, TestCipher::table(), wake, neighbours);
  }

  // The refusal of a command, empty when it was done.
  template <typename Body>
  std::string run(Body body) {
    Command command{++last_ack, CommandBody(std::move(body))};
    worker->run_command_for_test(command, now);
    std::string error = "no answer";
    drain([&](const ControlEvent& event) {
      if (const auto* ack = std::get_if<AckEvent>(&event)) {
        error = ack->error;
      }
    });
    return error;
  }

  template <typename Visit>
  void drain(Visit&& visit) {
    auto& ring = worker->outbox().control();
    while (const ControlEvent* event = ring.front()) {
      visit(*event);
      if (!std::holds_alternative<AckEvent>(*event)) {
        events.push_back(*event);
      }
      ring.release();
    }
  }

  template <typename Event>
  std::vector<Event> of() {
    drain([](const ControlEvent&) {});
    std::vector<Event> found;
    for (const ControlEvent& event : events) {
      if (const auto* match = std::get_if<Event>(&event)) {
        found.push_back(*match);
      }
    }
    return found;
  }

  std::size_t network_events() { return worker->outbox().network().size(); }

  std::int64_t counter(Counter which) {
    Command command{++last_ack, QueryStats{}};
    worker->run_command_for_test(command, now);
    std::int64_t value = -1;
    drain([&](const ControlEvent& event) {
      if (const auto* stats = std::get_if<StatsEvent>(&event)) {
        value = stats->worker[static_cast<std::size_t>(which)].second;
      }
    });
    return value;
  }

  void join(std::uint32_t transport, test::Peer& peer) {
    CHECK_EQ(run(AddTransport{0, transport, {"ufrag" + std::to_string(transport)}}), "");
    CHECK_EQ(run(BindPath{transport, {.socket = 0, .remote = peer.address()}, true}), "");
    CHECK_EQ(run(SetSrtp{transport, &peer.rx(), &peer.rx(), *SrtpProfile::by_name("AEAD_AES_128_GCM")}), "");
  }
  void audio(std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc) {
    CHECK_EQ(run(AddTrack{track, transport, false, "a", {test::kOpus}, {{"", ssrc, 0}}, false, false}), "");
  }
  void video(std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc) {
    CHECK_EQ(run(AddTrack{track, transport, true, "v", {test::kVp8}, {{"", ssrc, ssrc + 1}}, true, false}), "");
  }
  std::string forward(std::uint32_t id, std::uint32_t track, std::uint32_t transport, GatePosition gate = {},
                      std::uint32_t ssrc = 0x900) {
    return run(AddForward{
        id, track, transport, ssrc, ssrc + 1, "0", {{Codec::kOpus, 100, -1}, {Codec::kVp8, 120, 121}}, gate, false});
  }

  static Data seal(Data data, bool is_rtcp = false) {
    static TestCipher cipher;
    int size = static_cast<int>(data.size());
    data.resize(data.size() + kMaxSrtpTrailer);
    (is_rtcp ? TestCipher::table().protect_rtcp : TestCipher::table().protect)(&cipher, data.data(), &size);
    data.resize(static_cast<std::size_t>(size));
    return data;
  }
  void receive(const test::Peer& from, Data datagram) {
    worker->receive_for_test(0, from.address(), datagram, now);
  }
  void receive_rtp(const test::Peer& from, Data packet) { receive(from, seal(std::move(packet))); }
  void receive_rtcp(const test::Peer& from, Data packet) { receive(from, seal(std::move(packet), true)); }
  void tick(TimeNs by = 10 * kMillisecond) {
    now += by;
    worker->tick_for_test(now);
  }

  GatePage gates;
  Wake wake;
  Neighbours neighbours{1};
  std::unique_ptr<Worker> worker;
  TimeNs now = 100 * kSecond;
  std::uint64_t last_ack = 0;
  std::vector<ControlEvent> events;

 private:
  UniqueFd page_;
};

}  // namespace

TEST(a_packet_goes_from_its_publisher_to_every_subscriber) {
  Bench bench;
  test::Peer publisher;
  test::Peer one;
  test::Peer two;
  bench.join(1, publisher);
  bench.join(2, one);
  bench.join(3, two);
  bench.audio(10, 1, 0x11);
  CHECK_EQ(bench.forward(20, 10, 2), "");
  CHECK_EQ(bench.forward(21, 10, 3), "");
  bench.receive_rtp(publisher, test::opus_packet(1, 0x11));
  bench.tick();
  for (test::Peer* viewer : {&one, &two}) {
    viewer->collect();
    CHECK_EQ(viewer->rtp.size(), 1U);
    CHECK_EQ(load_u32(viewer->rtp.at(0), 8), 0x900U);
    CHECK_EQ(viewer->rtp.at(0)[1], 100);
  }
  CHECK_EQ(bench.of<ProvenEvent>().size(), 1U);
  CHECK_EQ(bench.of<EncodingEvent>().size(), 1U);
}

TEST(a_batch_to_one_subscriber_leaves_as_one_train) {
  Bench bench;
  test::Peer publisher;
  test::Peer viewer;
  bench.join(1, publisher);
  bench.join(2, viewer);
  bench.audio(10, 1, 0x11);
  bench.forward(20, 10, 2);
  for (std::uint16_t seq = 1; seq <= 10; ++seq) {
    bench.receive_rtp(publisher, test::opus_packet(seq, 0x11));
  }
  bench.tick();
  viewer.collect();
  CHECK_EQ(viewer.rtp.size(), 10U);
  CHECK_EQ(bench.counter(Counter::messages_sent) - bench.counter(Counter::rtcp_sent), 1);
}

TEST(more_packets_than_one_batch_gathers_all_arrive_in_order) {
  Bench bench;
  test::Peer publisher;
  test::Peer viewer;
  bench.join(1, publisher);
  bench.join(2, viewer);
  bench.audio(10, 1, 0x11);
  bench.forward(20, 10, 2);
  for (std::uint16_t seq = 65'500; seq != 200; ++seq) {
    bench.receive_rtp(publisher, test::opus_packet(seq, 0x11));
  }
  bench.tick();
  viewer.collect();
  CHECK_EQ(viewer.rtp.size(), 236U);
  for (std::size_t i = 1; i < viewer.rtp.size(); ++i) {
    CHECK_EQ(static_cast<std::uint16_t>(load_u16(viewer.rtp[i], 2) - load_u16(viewer.rtp[i - 1], 2)), 1);
  }
}

TEST(media_from_a_stranger_or_before_keys_is_counted_and_dropped) {
  Bench bench;
  test::Peer stranger;
  bench.receive_rtp(stranger, test::opus_packet(1, 0x11));
  CHECK_EQ(bench.counter(Counter::drop_media_unbound), 1);
  test::Peer early;
  bench.run(AddTransport{0, 1, {"ufrag1"}});
  bench.run(BindPath{1, {.socket = 0, .remote = early.address()}, true});
  bench.receive_rtp(early, test::opus_packet(1, 0x11));
  CHECK_EQ(bench.counter(Counter::drop_media_before_keys), 1);
  CHECK(bench.of<ProvenEvent>().empty());
}

TEST(stun_is_delivered_for_known_ufrags_only) {
  Bench bench;
  test::Peer peer;
  bench.run(AddTransport{0, 1, {"goodfrag"}});
  bench.receive(peer, test::stun_check("goodfrag"));
  CHECK_EQ(bench.network_events(), 1U);
  const NetworkEvent* event = bench.worker->outbox().network().front();
  CHECK(event->is_stun && event->transport == 1 && event->path.remote == peer.address());
  bench.receive(peer, test::stun_check("otherfrag"));
  Data broken = test::stun_check("goodfrag");
  broken.back() ^= 1;
  bench.receive(peer, broken);
  Data response = test::stun_check("goodfrag");
  response[0] = 1;
  response[1] = 1;
  bench.receive(peer, response);
  CHECK_EQ(bench.network_events(), 1U);
  CHECK_EQ(bench.counter(Counter::drop_stun_unknown_ufrag), 1);
  CHECK_EQ(bench.counter(Counter::drop_stun_malformed), 2);
}

TEST(dtls_is_delivered_from_a_bound_path_only_and_at_a_bounded_rate) {
  Bench bench;
  test::Peer peer;
  test::Peer stranger;
  bench.run(AddTransport{0, 1, {"goodfrag"}});
  bench.run(BindPath{1, {.socket = 0, .remote = peer.address()}, false});
  const Data hello = test::hex("16fefd0000000000000000000400000000");
  bench.receive(stranger, hello);
  CHECK_EQ(bench.network_events(), 0U);
  CHECK_EQ(bench.counter(Counter::drop_dtls_unbound), 1);
  for (int i = 0; i < 3000; ++i) {
    bench.receive(peer, hello);
    bench.worker->outbox().network().release();
  }
  CHECK(bench.counter(Counter::dtls_delivered) <= Transport::kDtlsPerSecond);
  bench.run(UnbindPath{1, {.socket = 0, .remote = peer.address()}});
  bench.receive(peer, hello);
  CHECK_EQ(bench.counter(Counter::drop_dtls_unbound), 2);
}

TEST(a_flood_of_checks_in_one_name_costs_no_other_peer_its_checks) {
  Bench bench;
  test::Peer peer;
  test::Peer newcomer;
  bench.run(AddTransport{0, 1, {"peerfrag"}});
  bench.run(BindPath{1, {.socket = 0, .remote = peer.address()}, true});
  bench.run(AddTransport{0, 2, {"evilfrag"}});
  bench.run(AddTransport{0, 3, {"newfrag1"}});
  const auto sends = [&bench](const test::Peer& from, const char* ufrag) {
    const auto before = bench.counter(Counter::stun_delivered);
    bench.receive(from, test::stun_check(ufrag));
    bench.worker->outbox().network().release();
    return bench.counter(Counter::stun_delivered) - before;
  };
  for (int source = 0; source < 40; ++source) {
    const test::Peer evil;
    for (int i = 0; i < 100; ++i) {
      (void)sends(evil, "evilfrag");
    }
  }
  CHECK(bench.counter(Counter::stun_delivered) <= 3 * Transport::kChecksPerSecond);
  CHECK_EQ(sends(peer, "peerfrag"), 1);
  CHECK_EQ(sends(newcomer, "newfrag1"), 1);
  // What somebody else sends in the peer's own name does not touch it either.
  for (int i = 0; i < 1000; ++i) {
    (void)sends(newcomer, "peerfrag");
  }
  CHECK_EQ(sends(peer, "peerfrag"), 1);
}

TEST(an_address_goes_to_whoever_proved_it_last) {
  Bench bench;
  test::Peer peer;
  bench.run(AddTransport{0, 1, {"frag1"}});
  bench.run(AddTransport{0, 2, {"frag2"}});
  bench.run(BindPath{1, {.socket = 0, .remote = peer.address()}, true});
  bench.run(BindPath{2, {.socket = 0, .remote = peer.address()}, true});
  bench.receive(peer, test::hex("16fefd0000000000000000000400000000"));
  CHECK_EQ(bench.worker->outbox().network().front()->transport, 2U);
  CHECK_EQ(bench.run(UnbindPath{1, {.socket = 0, .remote = peer.address()}}), "unknown path");
  CHECK_EQ(bench.run(RemoveTransport{1}), "");
  bench.worker->outbox().network().release();
  bench.receive(peer, test::hex("16fefd0000000000000000000400000000"));
  CHECK_EQ(bench.network_events(), 1U);
}

TEST(a_gate_is_checked_at_the_last_moment) {
  Bench bench;
  test::Peer publisher;
  test::Peer viewer;
  bench.join(1, publisher);
  bench.join(2, viewer);
  bench.audio(10, 1, 0x11);
  bench.gates.open(3, 1);
  bench.forward(20, 10, 2, GatePosition{3, 1});
  bench.receive_rtp(publisher, test::opus_packet(1, 0x11));
  bench.gates.close(3, 2);  // after arrival, before the batch leaves
  bench.tick();
  viewer.collect();
  CHECK(viewer.rtp.empty());
  CHECK_EQ(bench.counter(Counter::drop_gate_closed), 1);
}

TEST(removing_a_transport_removes_everything_that_hangs_on_it) {
  Bench bench;
  test::Peer publisher;
  test::Peer viewer;
  bench.join(1, publisher);
  bench.join(2, viewer);
  bench.audio(10, 1, 0x11);
  bench.video(11, 1, 0x22);
  bench.forward(20, 10, 2);
  bench.forward(21, 11, 2, {}, 0xA00);
  bench.receive_rtp(publisher, test::video_packet(1, 0x22, true));
  bench.receive_rtp(publisher, test::video_packet(9, 0x22, false));  // a NACK timer runs
  CHECK_EQ(bench.run(RemoveTransport{1}), "");
  CHECK_EQ(bench.run(RemoveForward{20}), "unknown forward");
  CHECK_EQ(bench.run(RemoveTrack{11}), "unknown track");
  bench.receive_rtp(publisher, test::opus_packet(1, 0x11));
  for (int i = 0; i < 50; ++i) {
    bench.tick();
  }
  CHECK_EQ(bench.run(RemoveTransport{2}), "");
  bench.tick();
}

TEST(commands_for_what_is_not_there_or_not_right_are_refused) {
  Bench bench;
  test::Peer peer;
  bench.join(1, peer);
  bench.audio(10, 1, 0x11);
  CHECK_EQ(bench.run(AddTransport{0, 1, {"x"}}), "transport id in use");
  CHECK_EQ(bench.run(AddTransport{0, 2, {"ufrag1"}}), "ufrag in use");
  CHECK_EQ(bench.run(AddTransport{0, 2, {""}}), "ufrag must have 1 to 256 characters");
  CHECK_EQ(bench.run(AddTransport{0, 2, {"a", "b", "c", "d", "e"}}), "too many ufrags");
  CHECK_EQ(bench.run(BindPath{1, {.socket = 9, .remote = peer.address()}, true}), "unknown socket");
  CHECK_EQ(bench.run(BindPath{9, {.socket = 0, .remote = peer.address()}, true}), "unknown transport");
  CHECK_EQ(bench.run(AddTrack{10, 1, false, "b", {test::kOpus}, {{"", 0, 0}}, false, false}), "track id in use");
  CHECK_EQ(bench.run(AddTrack{12, 1, false, "b", {test::kOpus}, {{"", 0x11, 0}}, false, false}), "ssrc in use");
  CHECK_EQ(bench.run(AddTrack{12, 1, false, "b", {}, {{"", 0, 0}}, false, false}), "a track needs 1 to 64 codecs");
  CHECK_EQ(bench.run(AddTrack{12, 1, false, "b", {test::kOpus}, {}, false, false}),
           "a track needs 1 to 8 encodings");
  CHECK_EQ(bench.forward(20, 99, 1), "unknown track");
  CHECK_EQ(bench.forward(20, 10, 99), "unknown transport");
  CHECK_EQ(bench.forward(20, 10, 1, GatePosition{16, 1}), "gate slot outside the page");
  CHECK_EQ(bench.forward(20, 10, 1), "");
  CHECK_EQ(bench.forward(20, 10, 1, {}, 0xA00), "forward id in use");
  CHECK_EQ(bench.forward(21, 10, 1), "ssrc in use");
  CHECK_EQ(bench.run(AddTap{30, 10, 40, {1, 1}}), "unknown sink");
}

TEST(tracks_of_a_transport_are_capped) {
  Bench bench;
  test::Peer peer;
  bench.join(1, peer);
  for (std::uint32_t i = 0; i < Transport::kMaxTracks; ++i) {
    CHECK_EQ(bench.run(AddTrack{100 + i, 1, false, std::to_string(i), {test::kOpus}, {{"", 0, 0}}, false, false}), "");
  }
  CHECK_EQ(bench.run(AddTrack{999, 1, false, "x", {test::kOpus}, {{"", 0, 0}}, false, false}), "too many tracks");
}

TEST(a_gap_is_asked_for_and_the_feedback_is_a_compound_packet) {
  Bench bench;
  test::Peer publisher;
  bench.join(1, publisher);
  bench.video(11, 1, 0x22);
  bench.receive_rtp(publisher, test::video_packet(1, 0x22, true));
  bench.receive_rtp(publisher, test::video_packet(4, 0x22, false));
  bench.tick(30 * kMillisecond);
  publisher.collect();
  std::vector<std::uint16_t> asked;
  for (const Data& compound : publisher.rtcp) {
    RtcpReader reader(compound);
    std::vector<RtcpKind> kinds;
    while (const auto message = reader.next()) {
      kinds.push_back(message->kind);
      if (message->kind == RtcpKind::kNack) {
        CHECK_EQ(read_feedback_header(*message)->media_ssrc, 0x22U);
        for_each_nacked(*message, [&](std::uint16_t seq) { asked.push_back(seq); });
      }
    }
    CHECK(kinds.size() >= 2 && kinds[0] == RtcpKind::kReceiverReport && kinds[1] == RtcpKind::kSdes);
  }
  CHECK(asked == (std::vector<std::uint16_t>{2, 3}));
}

TEST(a_silent_transport_is_idle_once_and_active_again) {
  Bench bench;
  test::Peer publisher;
  bench.join(1, publisher);
  bench.audio(10, 1, 0x11);
  bench.receive_rtp(publisher, test::opus_packet(1, 0x11));
  for (int i = 0; i < 300; ++i) {
    bench.tick();
  }
  CHECK_EQ(bench.of<IdleEvent>().size(), 1U);
  CHECK(bench.of<IdleEvent>()[0].is_idle);
  bench.receive_rtp(publisher, test::opus_packet(2, 0x11));
  CHECK_EQ(bench.of<IdleEvent>().size(), 2U);
  CHECK(!bench.of<IdleEvent>()[1].is_idle);
}

TEST(no_datagram_of_any_first_byte_and_length_is_too_odd) {
  Bench bench;
  test::Peer publisher;
  test::Peer viewer;
  test::Peer stranger;
  bench.join(1, publisher);
  bench.join(2, viewer);
  bench.video(11, 1, 0x22);
  bench.forward(20, 11, 2);
  for (int first = 0; first < 256; ++first) {
    for (const std::size_t size : {0U, 1U, 2U, 3U, 4U, 8U, 11U, 12U, 13U, 19U, 20U, 27U, 28U, 29U, 60U, 1500U, 2047U}) {
      for (const int second : {0, 96, 200, 201, 205, 206}) {
        Data datagram(size, static_cast<std::uint8_t>(second));
        if (size > 0) {
          datagram[0] = static_cast<std::uint8_t>(first);
        }
        bench.receive(stranger, datagram);
        bench.receive(publisher, datagram);
        if (size >= 12) {
          bench.receive_rtp(publisher, datagram);
          bench.receive_rtcp(viewer, datagram);
        }
      }
      while (bench.network_events() != 0) {
        bench.worker->outbox().network().release();
      }
    }
    bench.tick();
  }
  bench.receive_rtp(publisher, test::video_packet(60'000, 0x22, true));
  bench.tick();
  viewer.collect();
  CHECK(!viewer.rtp.empty());
}

TEST(generated_packets_reach_a_client_that_measures_them) {
  Bench bench;
  test::Peer server;  // stands for the server: reads what the generator sends
  CHECK_EQ(bench.run(AddClientTransport{0, 1, 0, server.address()}), "");
  CHECK_EQ(bench.run(SetSrtp{1, &server.rx(), &server.rx(), *SrtpProfile::by_name("AEAD_AES_128_GCM")}), "");
  CHECK_EQ(bench.run(AddGenerator{10, 1, 0x77, 96, 90'000, 180, 6, 1000, "0", Codec::kVp8}), "");
  CHECK_EQ(bench.run(AddGenerator{10, 1, 0x77, 96, 90'000, 180, 6, 1000, "0", Codec::kVp8}), "track id in use");
  CHECK_EQ(bench.run(AddGenerator{11, 1, 0x77, 96, 90'000, 180, 6, 10, "0", Codec::kVp8}),
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
