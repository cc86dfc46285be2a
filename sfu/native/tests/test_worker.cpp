// One worker without its thread: datagrams, commands and time go in by hand; what it sends arrives on real sockets.
#include "worker.h"

#include <sys/socket.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "builders.h"
#include "check.h"
#include "loopback.h"
#include "rtcp_build.h"
#include "worker_bench.h"

using namespace parley;
using test::Bench;
using test::Data;

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

// What waits for its batch while the gate opens arrived before it was open.
TEST(a_batch_from_before_a_gate_opened_passes_neither_to_a_forward_nor_to_a_tap) {
  Bench bench;
  test::Peer publisher;
  test::Peer viewer;
  bench.join(1, publisher);
  bench.join(2, viewer);
  bench.audio(10, 1, 0x11);
  int ends[2] = {-1, -1};
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  const UniqueFd far(ends[1]);
  CHECK_EQ(bench.run(AddSink{50, UniqueFd(ends[0])}), "");
  CHECK_EQ(bench.forward(20, 10, 2, GatePosition{3, 1}), "");
  CHECK_EQ(bench.run(AddTap{60, 10, 50, {3, 1}}), "");
  const auto passes = [&](std::uint16_t seq, const std::function<void()>& meanwhile) {
    bench.tick(kMillisecond);
    bench.receive_rtp(publisher, test::opus_packet(seq, 0x11));
    meanwhile();
    bench.tick(2 * kMillisecond);
    viewer.collect();
    const std::size_t got = viewer.rtp.size();
    viewer.rtp.clear();
    Data record(1500);
    const ssize_t size = recv(far.get(), record.data(), record.size(), 0);
    CHECK_EQ(size > 0, got == 1);
    return got == 1;
  };
  CHECK(!passes(1, [&] { bench.gates.open(3, 1, bench.now + kMillisecond); }));
  CHECK_EQ(bench.counter(Counter::drop_gate_closed), 1);
  CHECK_EQ(bench.counter(Counter::drop_tap_gate_closed), 1);
  CHECK(passes(2, [] {}));
  bench.gates.close(3, 2);
  CHECK(!passes(3, [] {}));
  bench.gates.open(3, 3, bench.now);
  CHECK(!passes(4, [] {}));  // theirs is another version
  CHECK_EQ(bench.run(SetForwardGate{20, {3, 3}}), "");
  CHECK_EQ(bench.run(SetTapGate{60, {3, 3}}), "");
  CHECK(passes(5, [] {}));
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
  CHECK_EQ(bench.run(AddTrack{12, 1, false, "b", {test::kOpus}, {}, false, false}), "a track needs 1 to 8 encodings");
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

namespace {

// What the publisher was told, by kind.
template <typename Each>
void each_message(test::Peer& peer, Each&& each) {
  peer.collect();
  for (const Data& compound : peer.rtcp) {
    RtcpReader reader(compound);
    while (const auto message = reader.next()) {
      each(*message);
    }
  }
  peer.rtcp.clear();
}

}  // namespace

TEST(the_round_trip_to_a_publisher_is_measured_by_its_echo_and_paces_requests) {
  Bench bench;
  test::Peer publisher;
  bench.join(1, publisher);
  bench.video(11, 1, 0x22);
  bench.receive_rtp(publisher, test::video_packet(1, 0x22, true));
  std::uint32_t reference = 0;
  for (int i = 0; i < 110 && reference == 0; ++i) {
    bench.tick();
    each_message(publisher, [&](const RtcpMessage& message) {
      if (message.kind == RtcpKind::kExtendedReport) {
        CHECK_EQ(message.body.size(), 16U);
        CHECK_EQ(message.body[4], 4);  // receiver reference time
        reference = load_u32(message.body, 10);
      }
    });
  }
  CHECK(reference != 0);
  bench.now += 300 * kMillisecond;
  Data echo = test::hex("80c90001 00000022 000000000000000000000000000000000000000000000000");
  Writer writer(MutableBytes(echo).subspan(8));  // behind an empty receiver report
  writer.u32(0x80CF0005);
  writer.u32(0x22);
  writer.u32(0x05000003);
  writer.u32(1);
  writer.u32(reference);
  writer.u32(65'536 / 10);  // it kept it for 100 ms
  bench.receive_rtcp(publisher, echo);
  const auto rtt = [&] {
    Command command{++bench.last_ack, QueryStats{}};
    bench.worker->run_command_for_test(command, bench.now);
    std::int64_t found = -1;
    bench.drain([&](const ControlEvent& event) {
      if (const auto* stats = std::get_if<StatsEvent>(&event)) {
        for (const auto& [name, value] : stats->transports.at(0)) {
          found = name == "rtt_us" ? value : found;
        }
      }
    });
    return found;
  };
  CHECK(rtt() > 195'000 && rtt() < 215'000);
  // The second request for a packet waits for that long, and a quarter more.
  bench.receive_rtp(publisher, test::video_packet(3, 0x22, false));
  std::vector<TimeNs> asked;
  for (int i = 0; i < 60; ++i) {
    bench.tick();
    each_message(publisher, [&](const RtcpMessage& message) {
      if (message.kind == RtcpKind::kNack) {
        asked.push_back(bench.now);
      }
    });
  }
  CHECK(asked.size() >= 2);
  CHECK(asked[1] - asked[0] >= 240 * kMillisecond && asked[1] - asked[0] <= 290 * kMillisecond);
}

TEST(a_publisher_that_agreed_on_fir_alone_is_asked_by_fir) {
  Bench bench;
  test::Peer publisher;
  bench.join(1, publisher);
  AddTrack track{11, 1, true, "v", {test::kVp8}, {{"", 0x22, 0x23}}, true, false};
  track.fir = true;
  CHECK_EQ(bench.run(track), "");
  bench.receive_rtp(publisher, test::video_packet(1, 0x22, true));
  std::vector<FirEntry> asked;
  for (int i = 0; i < 2; ++i) {
    CHECK_EQ(bench.run(RequestKeyframe{11}), "");
    bench.tick(600 * kMillisecond);
    each_message(publisher, [&](const RtcpMessage& message) {
      CHECK(message.kind != RtcpKind::kPli);
      if (message.kind == RtcpKind::kFir) {
        asked.push_back(read_fir_entry(message, 0));
      }
    });
  }
  CHECK(asked.size() >= 2);
  CHECK_EQ(asked[0].ssrc, 0x22U);
  CHECK(asked[0].command_seq != asked[1].command_seq);
}

TEST(a_subscriber_that_asks_for_everything_at_most_doubles_its_traffic) {
  Bench bench;
  test::Peer publisher;
  test::Peer viewer;
  bench.join(1, publisher);
  bench.join(2, viewer);
  bench.video(11, 1, 0x22);
  bench.forward(20, 11, 2);
  std::size_t media = 0;
  std::size_t resent = 0;
  std::uint16_t newest = 0;
  for (std::uint16_t seq = 1; seq <= 400; ++seq) {
    bench.receive_rtp(publisher, test::video_packet(seq, 0x22, seq == 1));
    Data asks(40);
    Writer writer(asks);
    append_receiver_report(writer, 9, {});
    std::array<std::uint16_t, 17> last{};
    for (std::uint16_t i = 0; i < last.size(); ++i) {
      last[i] = static_cast<std::uint16_t>(newest - 16 + i);
    }
    append_nack(writer, 9, 0x900, last);
    asks.resize(writer.size());
    bench.receive_rtcp(viewer, asks);
    bench.tick(20 * kMillisecond);
    viewer.collect();
    for (const Data& packet : viewer.rtp) {
      const bool is_rtx = (packet[1] & 0x7F) == 121;
      (is_rtx ? resent : media) += packet.size();
      newest = is_rtx ? newest : load_u16(packet, 2);
    }
    viewer.rtp.clear();
  }
  CHECK(resent <= media + 16 * 1024 + 400 * 20);  // RTX adds two bytes and its tag to each
  CHECK(resent > media / 2);
  CHECK(bench.counter(Counter::drop_nack_budget) > 0);
}
