// One worker without its thread: datagrams, commands and time go in by hand; what it sends arrives on real sockets.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "builders.h"
#include "check.h"
#include "loopback.h"
#include "test_cipher.h"
#include "worker.h"

namespace parley::test {

class Bench {
 public:
  Bench() : page_(make_page(16)) {
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

  void join(std::uint32_t transport, Peer& peer) {
    CHECK_EQ(run(AddTransport{0, transport, {"ufrag" + std::to_string(transport)}}), "");
    CHECK_EQ(run(BindPath{transport, {.socket = 0, .remote = peer.address()}, true}), "");
    CHECK_EQ(run(SetSrtp{transport, &peer.rx(), &peer.rx(), *SrtpProfile::by_name("AEAD_AES_128_GCM")}), "");
  }
  void audio(std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc) {
    CHECK_EQ(run(AddTrack{track, transport, false, "a", {kOpus}, {{"", ssrc, 0}}, false, false}), "");
  }
  void video(std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc) {
    CHECK_EQ(run(AddTrack{track, transport, true, "v", {kVp8}, {{"", ssrc, ssrc + 1}}, true, false}), "");
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
  void receive(const Peer& from, Data datagram) {
    worker->receive_for_test(0, from.address(), datagram, now);
  }
  void receive_rtp(const Peer& from, Data packet) { receive(from, seal(std::move(packet))); }
  void receive_rtcp(const Peer& from, Data packet) { receive(from, seal(std::move(packet), true)); }
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

}  // namespace parley::test
