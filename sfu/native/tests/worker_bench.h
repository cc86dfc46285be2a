// One worker without its thread: datagrams, commands and time go in by hand; what it sends arrives on real sockets.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "builders.h"
#include "loopback.h"
#include "test_cipher.h"
#include "worker.h"

namespace parley::test {

class Bench {
 public:
  Bench();

  // The refusal of a command, empty when it was done.
  std::string run(CommandBody body);
  void drain(const std::function<void(const ControlEvent&)>& visit);

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
  std::int64_t counter(Counter which);

  void join(std::uint32_t transport, Peer& peer);
  void audio(std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc);
  void video(std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc);
  std::string forward(std::uint32_t id, std::uint32_t track, std::uint32_t transport, GatePosition gate = {},
                      std::uint32_t ssrc = 0x900);

  static Data seal(Data data, bool is_rtcp = false);
  void receive(const Peer& from, Data datagram);
  void receive_rtp(const Peer& from, Data packet);
  void receive_rtcp(const Peer& from, Data packet);
  void tick(TimeNs by = 10 * kMillisecond);

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
