// One room over two workers: packets, reports, wishes and repairs cross; gates, mutes and removals hold on both sides.
#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "loopback.h"
#include "rtcp_build.h"

using namespace parley;
using test::Data;
using test::House;
using test::Peer;

namespace {

// A publisher on worker 0, a viewer on worker 1.
struct Pair {
  Peer publisher;
  Peer viewer;
  House house{{}, 2};

  Pair() {
    house.join(1, publisher, 0);
    house.join(2, viewer, 1);
  }
  void speak(std::uint16_t first, std::uint16_t count, std::uint32_t ssrc = 0x11) {
    for (std::uint16_t seq = first; seq < first + count; ++seq) {
      publisher.send_rtp(house.address(0), test::opus_packet(seq, ssrc));
    }
  }
  bool hears(std::size_t packets) {
    return test::until([&] {
      viewer.collect();
      return viewer.rtp.size() >= packets;
    });
  }
};

Data feedback(auto&& append) {
  Data data(200);
  Writer writer(data);
  append_receiver_report(writer, 9, {});
  append(writer);
  data.resize(writer.size());
  return data;
}

Data nack_of(std::uint32_t ssrc, std::uint16_t seq) {
  return feedback([&](Writer& writer) { append_nack(writer, 9, ssrc, std::span(&seq, 1)); });
}

bool has_message(const std::vector<Data>& compounds, std::uint8_t type, std::uint8_t format) {
  for (const Data& compound : compounds) {
    for (std::size_t at = 0; at + 4 <= compound.size(); at += 4U * (1U + load_u16(compound, at + 2))) {
      if (compound[at + 1] == type && (compound[at] & 0x1f) == format) {
        return true;
      }
    }
  }
  return false;
}

std::uint16_t seq_of(const Data& packet) { return load_u16(packet, 2); }

}  // namespace

TEST(a_packet_crosses_to_a_subscriber_on_another_worker) {
  Pair pair;
  CHECK_EQ(pair.house.error, "");
  pair.house.publish_audio(10, 1, 0x11);
  CHECK_EQ(pair.house.forward(20, 10, 2, 0x900), "");
  pair.speak(1, 20);
  CHECK(pair.hears(20));
  CHECK_EQ(load_u32(pair.viewer.rtp[0], 8), 0x900U);
  for (std::size_t i = 1; i < 20; ++i) {
    CHECK_EQ(seq_of(pair.viewer.rtp[i]), static_cast<std::uint16_t>(seq_of(pair.viewer.rtp[0]) + i));
  }
  CHECK_EQ(pair.house.counter("link_items_sent", 0), 20);
  CHECK_EQ(pair.house.counter("link_items_received", 1), 20);
  CHECK_EQ(pair.house.counter("rtp_forwarded", 0), 0);
  CHECK_EQ(pair.house.counter("rtp_forwarded", 1), 20);
}

TEST(another_workers_part_of_a_batch_leaves_with_it) {
  EngineConfig config;
  config.coalesce_us = 8'000;
  House house(std::move(config), 2);
  Peer speaker;
  Peer near;
  Peer far;
  house.join(1, speaker, 0);
  house.join(2, near, 0);
  house.join(3, far, 1);
  house.publish_audio(10, 1, 0x11);
  constexpr std::uint32_t kForwards = 20;  // gathering pays
  for (std::uint32_t number = 0; number < kForwards; ++number) {
    CHECK_EQ(house.forward(100 + number, 10, 2, 0x900 + 2 * number), "");
    CHECK_EQ(house.forward(200 + number, 10, 3, 0x900 + 2 * number), "");
  }
  const auto speak = [&](std::uint16_t first, std::uint16_t count) {
    // Eight at a time, a window apart: however late this thread wakes, they come together.
    for (std::uint16_t seq = first; seq < first + count; ++seq) {
      speaker.send_rtp(house.address(0), test::opus_packet(seq, 0x11));
      if (seq % 8 == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(8));
      }
    }
  };
  speak(1, 200);  // both learn how much they send
  const auto waits = [&](std::size_t worker) { return house.counter("flushes_coalesced", worker); };
  const auto batches = [&](std::size_t worker) { return house.counter("flushes", worker); };
  const std::int64_t before[] = {batches(0), batches(1), waits(1)};
  speak(201, 400);
  const std::int64_t sent = batches(0) - before[0];
  CHECK(sent < 200);  // of 400 packets
  CHECK(batches(1) - before[1] < 2 * sent);
  CHECK(waits(1) - before[2] < 200);  // it does not gather what was gathered: by itself it would wait at each packet
  CHECK(test::until([&] { return house.counter("rtp_forwarded", 1) == 600 * kForwards; }));
}

TEST(a_subscriber_on_another_worker_gets_the_largest_picture_however_encodings_are_numbered) {
  Pair pair;
  pair.house.run(AddTrack{10, 1, true, "v", {test::kVp8}, {{"", 0x22, 0}, {"", 0x23, 0}, {"", 0x24, 0}}, true, false});
  CHECK_EQ(pair.house.forward(20, 10, 2, 0x900), "");
  const auto keyframe = [](std::uint16_t seq, std::uint32_t ssrc, std::uint8_t height) {
    Data payload = test::vp8({.keyframe = true, .picture_id = seq});
    const Data header{0x00, 0x9d, 0x01, 0x2a, 0x40, 0x00, height, 0x00};  // start code, width, height
    payload.insert(payload.end(), header.begin(), header.end());
    payload.resize(100U + height, 0);  // the larger the picture, the longer
    return test::rtp(
        {.pt = 96, .marker = true, .seq = seq, .timestamp = seq * 3000U, .ssrc = ssrc, .payload = payload});
  };
  for (std::uint16_t seq = 1; seq <= 3; ++seq) {
    pair.publisher.send_rtp(pair.house.address(0), keyframe(seq, 0x22, 200));
    pair.publisher.send_rtp(pair.house.address(0), keyframe(seq, 0x23, 120));
    pair.publisher.send_rtp(pair.house.address(0), keyframe(seq, 0x24, 60));
    CHECK(pair.hears(seq));
  }
  CHECK(pair.viewer.rtp.back().size() >= 300);  // the payload of the largest
}

TEST(one_link_serves_all_forwards_of_a_worker_and_ends_with_the_last) {
  Pair pair;
  Peer other;
  pair.house.join(3, other, 1);
  pair.house.publish_audio(10, 1, 0x11);
  CHECK_EQ(pair.house.forward(20, 10, 2, 0x900), "");
  CHECK_EQ(pair.house.forward(21, 10, 3, 0x900), "");
  pair.speak(1, 5);
  CHECK(pair.hears(5));
  CHECK_EQ(pair.house.counter("link_items_sent", 0), 5);
  CHECK_EQ(pair.house.run(RemoveForward{20}), "");
  pair.speak(6, 5);
  CHECK(test::until([&] {
    other.collect();
    return other.rtp.size() == 10;
  }));
  CHECK_EQ(pair.house.run(RemoveTransport{3}), "");
  pair.speak(11, 5);
  CHECK(test::until([&] { return pair.house.counter("rtp_received", 0) == 15; }));
  CHECK_EQ(pair.house.counter("link_items_sent", 0), 10);
  CHECK_EQ(pair.house.forward(22, 10, 2, 0x901), "");
  pair.viewer.rtp.clear();
  pair.speak(16, 5);
  CHECK(pair.hears(5));
}

TEST(a_nack_is_answered_from_the_subscribers_own_worker) {
  Pair pair;
  pair.house.publish_video(10, 1, 0x22);
  CHECK_EQ(pair.house.forward(20, 10, 2, 0x900), "");
  for (std::uint16_t seq = 1; seq <= 10; ++seq) {
    pair.publisher.send_rtp(pair.house.address(0), test::video_packet(seq, 0x22, seq == 1));
  }
  CHECK(pair.hears(10));
  const std::uint16_t wanted = seq_of(pair.viewer.rtp[4]);
  pair.viewer.rtp.clear();
  pair.viewer.send_rtcp(pair.house.address(1), nack_of(0x900, wanted));
  CHECK(pair.hears(1));
  CHECK_EQ(load_u32(pair.viewer.rtp[0], 8), 0x901U);  // by RTX
  CHECK_EQ(load_u16(pair.viewer.rtp[0], 12), wanted);
  CHECK_EQ(pair.house.counter("rtx_sent", 1), 1);
  CHECK_EQ(pair.house.counter("rtx_sent", 0), 0);
}

TEST(a_wish_for_a_keyframe_crosses_back) {
  Pair pair;
  pair.house.publish_video(10, 1, 0x22);
  CHECK_EQ(pair.house.forward(20, 10, 2, 0x900), "");
  pair.publisher.send_rtp(pair.house.address(0), test::video_packet(1, 0x22, false));
  // The forward waits for a keyframe: its worker asks the publisher's.
  CHECK(test::until([&] {
    pair.publisher.collect();
    return has_message(pair.publisher.rtcp, 206, 1);
  }));
  pair.publisher.send_rtp(pair.house.address(0), test::video_packet(2, 0x22, true));
  CHECK(pair.hears(1));
  pair.publisher.rtcp.clear();
  pair.viewer.send_rtcp(pair.house.address(1), feedback([](Writer& writer) { append_pli(writer, 9, 0x900); }));
  CHECK(test::until([&] {
    pair.publisher.collect();
    return has_message(pair.publisher.rtcp, 206, 1);
  }));
}

TEST(a_publishers_report_crosses_so_that_lip_sync_holds) {
  Pair pair;
  pair.house.publish_audio(10, 1, 0x11);
  CHECK_EQ(pair.house.forward(20, 10, 2, 0x900), "");
  pair.speak(1, 3);
  CHECK(pair.hears(3));
  pair.publisher.send_rtcp(pair.house.address(0), [] {
    Data data(200);
    Writer writer(data);
    append_sender_report(writer, {.ssrc = 0x11, .ntp = 1ULL << 40, .rtp_timestamp = 960, .packet_count = 1}, {});
    data.resize(writer.size());
    return data;
  }());
  CHECK(test::until([&] {
    pair.speak(4, 1);
    pair.viewer.collect();
    return has_message(pair.viewer.rtcp, 200, 0);
  }));
}

TEST(a_gate_holds_at_the_subscribers_worker) {
  Pair pair;
  pair.house.publish_audio(10, 1, 0x11);
  pair.house.engine->gates().open(3, 1);
  CHECK_EQ(pair.house.forward(20, 10, 2, 0x900, {3, 1}), "");
  pair.speak(1, 5);
  CHECK(pair.hears(5));
  pair.house.engine->gates().close(3, 2);
  CHECK_EQ(pair.house.run(Fence{1}), "");
  pair.viewer.collect();
  pair.viewer.rtp.clear();
  pair.speak(6, 5);
  CHECK(test::until([&] { return pair.house.counter("drop_gate_closed", 1) == 5; }));
  pair.viewer.collect();
  CHECK_EQ(pair.viewer.rtp.size(), 0U);
}

TEST(a_mute_holds_on_every_worker_once_it_is_answered) {
  Pair pair;
  Peer near;
  pair.house.join(3, near, 0);
  pair.house.publish_audio(10, 1, 0x11);
  pair.house.forward(20, 10, 2, 0x900);
  pair.house.forward(21, 10, 3, 0x900);
  pair.speak(1, 5);
  CHECK(pair.hears(5));
  CHECK_EQ(pair.house.run(SetTrackEnabled{10, false}), "");
  pair.viewer.collect();
  pair.viewer.rtp.clear();
  pair.speak(6, 5);
  CHECK(test::until([&] { return pair.house.counter("drop_track_disabled", 0) == 5; }));
  pair.viewer.collect();
  CHECK_EQ(pair.viewer.rtp.size(), 0U);
  CHECK_EQ(pair.house.run(SetTrackEnabled{10, true}), "");
  pair.speak(11, 5);
  CHECK(pair.hears(5));
}

TEST(a_forward_changes_to_a_source_of_another_worker_and_back) {
  Pair pair;
  Peer speaker;
  pair.house.join(3, speaker, 1);
  pair.house.publish_audio(10, 1, 0x11);
  pair.house.publish_audio(11, 3, 0x12);
  CHECK_EQ(pair.house.forward(20, 11, 2, 0x900), "");
  CHECK_EQ(pair.house.run(SetForwardSource{20, 10, {}}), "");
  pair.speak(1, 5);
  CHECK(pair.hears(5));
  CHECK_EQ(pair.house.run(SetForwardSource{20, 11, {}}), "");
  CHECK_EQ(pair.house.run(Fence{0}), "");  // the link's end was queued with the answer
  pair.speak(6, 5);
  CHECK(test::until([&] { return pair.house.counter("rtp_received", 0) == 10; }));
  CHECK_EQ(pair.house.counter("link_items_sent", 0), 5);
  CHECK_EQ(pair.house.run(SetForwardSource{20, 0, {}}), "");
  CHECK_EQ(pair.house.run(SetForwardSource{20, 99, {}}), "unknown id");
}

TEST(a_refusal_by_one_worker_undoes_what_the_other_did) {
  Pair pair;
  pair.house.publish_audio(10, 1, 0x11);
  pair.house.publish_audio(11, 1, 0x12);
  CHECK_EQ(pair.house.forward(20, 10, 2, 0x900), "");
  CHECK_EQ(pair.house.forward(21, 11, 2, 0x900), "ssrc in use");
  CHECK_EQ(pair.house.run(RemoveForward{21}), "unknown id");
  pair.speak(1, 5, 0x12);
  CHECK(test::until([&] { return pair.house.counter("rtp_received", 0) == 5; }));
  CHECK_EQ(pair.house.counter("link_items_sent", 0), 0);
  CHECK_EQ(pair.house.forward(21, 11, 2, 0x902), "");
  pair.speak(6, 5, 0x12);
  CHECK(pair.hears(5));
}

TEST(a_track_that_was_refused_leaves_no_forward_of_it) {
  Pair pair;
  const auto added = pair.house.engine->command(AddTrack{10, 1, false, "a", {}, {}, false, false});
  const auto forwarded = pair.house.engine->command(AddForward{20, 10, 2, 0x900, 0, "0", {}, {}, false});
  CHECK(test::until([&] {
    pair.house.poll();
    return pair.house.acks.contains(*added) && pair.house.acks.contains(*forwarded);
  }));
  CHECK(!pair.house.acks[*added].empty());
  CHECK(!pair.house.acks[*forwarded].empty());
  CHECK_EQ(pair.house.run(RemoveForward{20}), "unknown id");
  pair.house.publish_audio(10, 1, 0x11);
  CHECK_EQ(pair.house.forward(20, 10, 2, 0x900), "");
  pair.speak(1, 3);
  CHECK(pair.hears(3));
}

TEST(a_sink_takes_taps_of_tracks_on_any_worker_and_ends_once) {
  Pair pair;
  Peer far_speaker;
  pair.house.join(3, far_speaker, 1);
  pair.house.publish_audio(10, 1, 0x11);
  pair.house.publish_audio(11, 3, 0x12);
  int ends[2] = {-1, -1};
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  UniqueFd far(ends[1]);
  CHECK_EQ(pair.house.run(AddSink{50, UniqueFd(ends[0])}), "");
  pair.house.engine->gates().open(5, 1);
  CHECK_EQ(pair.house.run(AddTap{30, 10, 50, {5, 1}}), "");
  CHECK_EQ(pair.house.run(AddTap{31, 11, 50, {5, 1}}), "");
  pair.speak(1, 1);
  far_speaker.send_rtp(pair.house.address(1), test::opus_packet(1, 0x12));
  std::size_t bytes = 0;
  Data data(70'000);
  CHECK(test::until([&] {
    const ssize_t size = recv(far.get(), data.data(), data.size(), 0);
    bytes += size > 0 ? static_cast<std::size_t>(size) : 0U;
    return bytes == 2 * (40 + 72);
  }));
  far.reset();
  CHECK(test::until([&] { return pair.house.count<SinkClosedEvent>() == 1; }));
  CHECK_EQ(pair.house.run(RemoveSink{50}), "");
  CHECK_EQ(pair.house.count<SinkClosedEvent>(), 1U);
}

TEST(an_id_in_use_is_refused_and_what_has_it_goes_on) {
  Pair pair;
  pair.house.publish_audio(10, 1, 0x11);
  pair.house.forward(20, 10, 2, 0x900);
  CHECK_EQ(pair.house.run(AddTransport{1, 1, {"another"}}), "transport id in use");
  CHECK_EQ(pair.house.run(AddTrack{10, 2, false, "a", {test::kOpus}, {{"", 5, 0}}, false, false}), "track id in use");
  CHECK_EQ(pair.house.forward(20, 10, 1, 0x900), "forward id in use");
  pair.speak(1, 3);
  CHECK(pair.hears(3));
  CHECK_EQ(pair.house.run(RemoveForward{20}), "");
}

// Whatever is removed in whatever order, what is left works and what is gone is silent.
TEST(removal_in_any_order_is_safe_while_media_flows) {
  std::mt19937 random(11);
  std::vector<std::unique_ptr<Peer>> peers;  // outlive the engine
  Peer speaker;
  Peer camera;
  {
    House house({}, 3);
    std::atomic<bool> stop{false};
    house.join(1, speaker, 0);
    house.join(2, camera, 1);
    // Sockets belong to one thread each: addresses are taken before.
    std::thread rain([&, audio = house.address(0), video = house.address(1)] {
      for (std::uint16_t seq = 0; !stop.load(); ++seq) {
        speaker.send_rtp(audio, test::opus_packet(seq, 0x11));
        camera.send_rtp(video, test::video_packet(seq, 0x22, seq % 50 == 0));
        std::this_thread::sleep_for(std::chrono::microseconds(300));
      }
    });
    for (std::uint32_t round = 0; round < 30; ++round) {
      house.publish_audio(10, 1, 0x11);
      house.publish_video(11, 2, 0x22);
      std::vector<std::pair<int, std::uint32_t>> there = {{0, 10}, {0, 11}};
      for (std::uint32_t viewer = 0; viewer < 6; ++viewer) {
        const std::uint32_t transport = 100 + round * 10 + viewer;
        peers.push_back(std::make_unique<Peer>());
        house.join(transport, *peers.back(), viewer % 3);
        CHECK_EQ(house.forward(1000 + viewer, 10, transport, 0x900), "");
        CHECK_EQ(house.forward(2000 + viewer, 11, transport, 0xA00), "");
        there.insert(there.end(), {{1, transport}, {2, 1000 + viewer}, {2, 2000 + viewer}});
      }
      if (round % 3 == 0) {
        Peer& last = *peers.back();
        CHECK(test::until([&] {
          last.collect();
          return last.rtp.size() > 5;
        }));
      }
      std::ranges::shuffle(there, random);
      for (const auto& [what, id] : there) {
        // Answers may come later: several removals are under way at once.
        const auto ack = what == 0   ? house.engine->command(RemoveTrack{id})
                         : what == 1 ? house.engine->command(RemoveTransport{id})
                                     : house.engine->command(RemoveForward{id});
        CHECK(ack.has_value());
        if (random() % 3 == 0) {
          house.poll();
        }
      }
      CHECK_EQ(house.run(Fence{2}), "");
    }
    house.publish_audio(10, 1, 0x11);
    peers.push_back(std::make_unique<Peer>());
    house.join(9, *peers.back(), 2);
    CHECK_EQ(house.forward(20, 10, 9, 0x900), "");
    CHECK(test::until([&] {
      peers.back()->collect();
      return peers.back()->rtp.size() > 10;
    }));
    stop.store(true);
    rain.join();
  }
}

TEST(the_engine_ends_while_packets_are_between_workers) {
  for (int round = 0; round < 10; ++round) {
    Pair pair;
    pair.house.publish_audio(10, 1, 0x11);
    pair.house.forward(20, 10, 2, 0x900);
    pair.speak(1, 30);
    pair.house.engine->close();
  }
}

TEST(the_loudest_are_chosen_on_every_worker) {
  House house({}, 2);
  Peer viewer;
  house.join(9, viewer, 1);
  std::vector<std::unique_ptr<Peer>> people;
  ExtensionIds ids;
  ids.set(Extension::kAudioLevel, 1);
  for (std::uint32_t i = 0; i < 4; ++i) {
    people.push_back(std::make_unique<Peer>());
    house.join(1 + i, *people.back(), i % 2);
    CHECK_EQ(house.run(SetExtensions{1 + i, ids, false}), "");
    AddTrack track{10 + i, 1 + i, false, "a", {test::kOpus}, {{"", 0x11 + i, 0}}, false, false};
    track.stage = 3;
    CHECK_EQ(house.run(track), "");
    CHECK_EQ(house.forward(20 + i, 10 + i, 9, 0x900 + 2 * i), "");
  }
  for (const std::size_t worker : {0U, 1U}) {
    CHECK_EQ(house.run(SetStage{worker, 3, 1}), "");
  }
  // One after the other, so that each packet is judged with those before it.
  std::int64_t arrived = 0;
  for (std::uint16_t seq = 1; seq <= 30; ++seq) {
    for (std::uint32_t i = 0; i < 4; ++i) {
      const auto level = static_cast<std::uint8_t>(i == 2 ? 0x80 | 30 : 90);
      people[i]->send_rtp(house.address(i % 2), test::rtp({.pt = 111,
                                                           .seq = seq,
                                                           .timestamp = seq * 960U,
                                                           .ssrc = 0x11 + i,
                                                           .extensions = {{1, {level}}},
                                                           .payload = Data(40, 1)}));
    }
    arrived += 4;
    CHECK(test::until([&] { return house.counter("rtp_received", 0) + house.counter("rtp_received", 1) == arrived; }));
  }
  CHECK(test::until([&] { return house.counter("link_items_received", 1) == 60; }));
  viewer.collect();
  std::size_t loud = 0;
  std::size_t others = 0;
  for (const Data& packet : viewer.rtp) {
    (load_u32(packet, 8) == 0x904 ? loud : others) += 1;
  }
  CHECK(loud >= 28);
  CHECK(others <= 4);
}
