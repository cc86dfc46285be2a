// The engine with its threads on loopback: a call, gates closed from another thread, and churn under TSan.
// Peers are declared before the engine: their keys outlive its use of them, as Python's sessions do.
#include "engine.h"

#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "loopback.h"

using namespace parley;
using test::Data;
using test::House;
using test::Peer;

namespace {

// Sends audio every half millisecond until told to stop.
class Rain {
 public:
  Rain(Peer& peer, Endpoint to, std::uint32_t ssrc)
      : thread_([this, &peer, to, ssrc] {
          for (std::uint16_t seq = 0; !stop_.load(); ++seq) {
            peer.send_rtp(to, test::opus_packet(seq, ssrc));
            std::this_thread::sleep_for(std::chrono::microseconds(500));
          }
        }) {}
  ~Rain() {
    stop_.store(true);
    thread_.join();
  }
  Rain(const Rain&) = delete;
  Rain& operator=(const Rain&) = delete;

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

std::pair<UniqueFd, UniqueFd> make_pair() {
  int ends[2] = {-1, -1};
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::size_t read_bytes(int fd) {
  Data data(70'000);
  std::size_t total = 0;
  for (ssize_t size = 1; size > 0;) {
    size = recv(fd, data.data(), data.size(), 0);
    total += size > 0 ? static_cast<std::size_t>(size) : 0;
  }
  return total;
}

}  // namespace

TEST(an_engine_that_cannot_start_says_why) {
  std::string error;
  EngineConfig config;
  CHECK(Engine::start(config, error) == nullptr);
  CHECK_EQ(error, "the SRTP table is incomplete");
  config.srtp = TestCipher::table();
  CHECK(Engine::start(config, error) == nullptr);
  const UniqueFd page = test::make_page(8);
  config.gate_fd = page.get();
  config.gate_slots = 8;
  config.sockets = {{{"203.0.113.9", 0}}};
  CHECK(Engine::start(config, error) == nullptr);
  CHECK(error.find("203.0.113.9") != std::string::npos);
}

TEST(a_call_goes_through_the_threads) {
  Peer publisher;
  Peer viewer;
  House house;
  CHECK_EQ(house.error, "");
  house.join(1, publisher);
  house.join(2, viewer);
  house.publish_audio(10, 1, 0x11);
  CHECK_EQ(house.forward(20, 10, 2, 0x900), "");
  for (std::uint16_t seq = 1; seq <= 20; ++seq) {
    publisher.send_rtp(house.address(), test::opus_packet(seq, 0x11));
  }
  CHECK(test::until([&] {
    viewer.collect();
    return viewer.rtp.size() == 20;
  }));
  CHECK_EQ(house.count<ProvenEvent>(), 1U);
  CHECK_EQ(house.counter("rtp_forwarded"), 20);
}

TEST(an_id_of_nothing_is_answered_with_a_refusal) {
  House house;
  CHECK_EQ(house.run(RemoveTransport{9}), "unknown id");
  CHECK_EQ(house.run(RemoveTap{9}), "unknown id");
  CHECK_EQ(house.run(Fence{7}), "unknown id");
  CHECK_EQ(house.run(Fence{0}), "");
}

TEST(a_closed_engine_takes_no_command_and_closes_twice) {
  House house;
  house.engine->close();
  house.engine->close();
  CHECK(!house.engine->command(Fence{0}));
}

TEST(answers_are_never_lost_when_nobody_reads_them) {
  House house;
  std::size_t accepted = 0;
  while (accepted < 100'000 && house.engine->command(Fence{0})) {
    ++accepted;
  }
  CHECK(accepted < 100'000);
  CHECK(test::until([&] {
    house.poll();
    return house.acks.size() == accepted;
  }));
  CHECK_EQ(house.run(Fence{0}), "");
}

TEST(nothing_passes_after_a_fence_behind_a_closed_gate) {
  Peer publisher;
  Peer viewer;
  House house;
  house.join(1, publisher);
  house.join(2, viewer);
  house.publish_audio(10, 1, 0x11);
  house.engine->open_gate(3, 1);
  house.forward(20, 10, 2, 0x900, {3, 1});
  const Rain rain(publisher, house.address(), 0x11);
  for (std::uint64_t version = 1; version < 20; version += 2) {
    CHECK(test::until([&] {
      viewer.collect();
      return viewer.rtp.size() >= 20;
    }));
    // Another thread than the worker's closes, as the consent service does.
    std::thread([&] { house.engine->gates().close(3, version + 1); }).join();
    CHECK_EQ(house.run(Fence{0}), "");
    // On loopback what was sent is in the viewer's socket when the fence is acknowledged.
    viewer.collect();
    viewer.rtp.clear();
    const auto dropped = house.counter("drop_gate_closed");
    CHECK(test::until([&] { return house.counter("drop_gate_closed") >= dropped + 20; }));
    viewer.collect();
    CHECK_EQ(viewer.rtp.size(), 0U);
    house.engine->open_gate(3, version + 2);
    house.run(SetForwardGate{20, {3, version + 2}});
  }
}

TEST(whoever_joins_does_not_wait_for_a_batch_that_gathers) {
  Peer publisher;
  Peer viewer;
  Peer newcomer;
  EngineConfig config;
  config.coalesce_us = 100'000;
  House house(std::move(config));
  house.join(1, publisher);
  house.join(2, viewer);
  house.publish_video(10, 1, 0x22);
  for (std::uint32_t id = 0; id < 16; ++id) {
    CHECK_EQ(house.forward(20 + id, 10, 2, 0x900 + 2 * id), "");
  }
  CHECK_EQ(house.run(AddTransport{0, 3, {"ufrag3"}}), "");
  CHECK_EQ(house.run(BindPath{3, {.socket = 0, .remote = newcomer.address()}, true}), "");
  constexpr int kSpans = 20;
  std::uint16_t seq = 0;
  // How often the worker woke in half a second of a packet each 2 ms.
  const auto loops = [&](bool is_joining) {
    const auto before = house.counter("loops");
    for (int span = 0; span < kSpans; ++span) {
      if (is_joining) {
        newcomer.send_raw(house.address(), Data(60, 22));  // looks like DTLS
      }
      for (int packet = 0; packet < 12; ++packet) {
        publisher.send_rtp(house.address(), test::video_packet(seq, 0x22, seq == 0));
        ++seq;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      viewer.collect();
    }
    return house.counter("loops") - before;
  };
  (void)loops(false);  // the window opens, and the newcomer's first half second ends
  const auto asleep = loops(false);
  const auto awake = loops(true);
  CHECK_EQ(house.counter("dtls_delivered"), kSpans);
  CHECK(asleep < 12 * kSpans / 2);
  CHECK(2 * awake > 3 * asleep);  // on a busy machine packets gather by themselves
}

TEST(people_come_and_go_while_media_flows) {
  std::vector<std::unique_ptr<Peer>> viewers;
  Peer speaker;  // each peer belongs to one thread
  Peer camera;
  House house;
  house.join(1, speaker);
  house.join(2, camera);
  house.publish_audio(10, 1, 0x11);
  house.publish_video(11, 2, 0x22);
  auto [near, far] = make_pair();
  house.run(AddSink{50, std::move(near)});
  house.engine->open_gate(5, 1);
  std::atomic<bool> stop{false};
  // The consent service's thread: gates flip all the time.
  std::thread flipper([&] {
    for (std::uint64_t version = 2; !stop.load(); ++version) {
      house.engine->gates().close(5, version);
      std::this_thread::sleep_for(std::chrono::microseconds(300));
      house.engine->open_gate(5, version);
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  });
  {
    const Rain rain(speaker, house.address(), 0x11);
    std::uint16_t seq = 0;
    for (std::uint32_t round = 0; round < 40; ++round) {
      // Kept: its keys belong to the transport until that is gone.
      viewers.push_back(std::make_unique<Peer>());
      Peer& viewer = *viewers.back();
      const std::uint32_t transport = 100 + round;
      house.join(transport, viewer);
      house.forward(1000 + round, 10, transport, 0x900, round % 2 == 0 ? GatePosition{} : GatePosition{5, 1});
      house.forward(2000 + round, 11, transport, 0xA00);
      house.run(AddTap{3000 + round, 10, 50, {5, 2 + round}});
      for (int i = 0; i < 10; ++i) {
        camera.send_rtp(house.address(), test::video_packet(++seq, 0x22, i == 0));
      }
      if (round % 2 == 0) {
        test::until([&] {
          viewer.collect();
          return !viewer.rtp.empty();
        });
      }
      house.run(RemoveTap{3000 + round});
      switch (round % 3) {
        case 0:
          CHECK_EQ(house.run(RemoveTransport{transport}), "");
          break;
        case 1:
          CHECK_EQ(house.run(RemoveForward{1000 + round}), "");
          CHECK_EQ(house.run(RemoveTransport{transport}), "");
          break;
        default:
          break;  // stays to the end
      }
      read_bytes(far.get());
    }
  }
  stop.store(true);
  flipper.join();
  CHECK_EQ(house.run(RemoveTransport{1}), "");
  CHECK_EQ(house.run(RemoveSink{50}), "");
}

TEST(a_tap_gets_records_until_its_consumer_goes) {
  Peer publisher;
  House house;
  house.join(1, publisher);
  house.publish_audio(10, 1, 0x11);
  auto [near, far] = make_pair();
  house.run(AddSink{50, std::move(near)});
  house.engine->open_gate(5, 1);
  CHECK_EQ(house.run(AddTap{30, 10, 50, {5, 1}}), "");
  publisher.send_rtp(house.address(), test::opus_packet(1, 0x11));
  std::size_t bytes = 0;
  CHECK(test::until([&] {
    bytes += read_bytes(far.get());
    return bytes == 40 + 72;
  }));
  far.reset();
  CHECK(test::until([&] { return house.count<SinkClosedEvent>() == 1; }));
}

TEST(a_generator_drives_a_forward_between_two_engines) {
  TestCipher cipher;
  House server;
  House load;
  // Client mode: one socket, hence one transport, per engine here.
  const Endpoint client = load.engine->addresses(0)[0];
  const SrtpProfile profile = *SrtpProfile::by_name("AEAD_AES_128_GCM");
  server.run(AddTransport{0, 1, {"ufrag1"}});
  server.run(BindPath{1, {.socket = 0, .remote = client}, true});
  server.run(SetSrtp{1, &cipher, &cipher, profile});
  server.publish_video(10, 1, 0x22);
  CHECK_EQ(server.forward(20, 10, 1, 0x900), "");
  load.run(AddClientTransport{0, 7, 0, server.address()});
  load.run(SetSrtp{7, &cipher, &cipher, profile});
  CHECK_EQ(load.run(AddGenerator{70, 7, 0x22, 96, 90'000, 600, 6, 1000, "0", Codec::kVp8}), "");
  CHECK(test::until([&] { return load.counter("client_latency_count") > 0 || server.counter("rtp_forwarded") > 200; }));
  CHECK(test::until([&] {
    load.run(QueryStats{});
    for (const auto& [name, value] : load.stats.transports.at(0)) {
      if (name == "client_checked" && value > 200) {
        return true;
      }
    }
    return false;
  }));
}
