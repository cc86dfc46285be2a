// A whole engine on loopback with the test cipher, and peers on plain sockets: no Python.
// Waiting is polling of a condition, bounded by kPatience.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "builders.h"
#include "engine.h"
#include "test_cipher.h"
#include "udp_socket.h"

namespace parley::test {

inline constexpr std::chrono::seconds kPatience{10};

TimeNs monotonic();

// True once `condition` holds; false when it does not in time.
bool until(const std::function<bool()>& condition);

UniqueFd make_page(std::uint32_t slots);

Endpoint loopback(std::uint16_t port);

// One remote: a UDP socket that speaks the test cipher.
class Peer {
 public:
  Peer();

  [[nodiscard]] Endpoint address() const { return socket_->local(); }
  TestCipher& rx() { return rx_; }  // engine to peer, and peer to engine: one key
  [[nodiscard]] const Counters& counters() const { return counters_; }

  void send_raw(const Endpoint& to, Data data);
  void send_rtp(const Endpoint& to, Data data);
  void send_rtcp(const Endpoint& to, Data data);

  // Everything that waits, decrypted; RTP and RTCP apart.
  void collect();
  std::vector<Data> rtp;
  std::vector<Data> rtcp;
  std::size_t unreadable = 0;

 private:
  Data seal(Data data, SrtpFunction protect);
  void take(MutableBytes datagram);

  TestCipher rx_;
  std::unique_ptr<UdpSocket> socket_;
  ReceiveBatch batch_;
  Counters counters_;
};

inline const CodecEntry kOpus{111, Codec::kOpus, 48'000, -1};
inline const CodecEntry kVp8{96, Codec::kVp8, 90'000, 97};

// An engine, and its events as they come.
class House {
 public:
  explicit House(EngineConfig config = {}, std::size_t workers = 1);

  static constexpr std::uint32_t kSlots = 64;

  [[nodiscard]] Endpoint address(std::size_t worker = 0) const { return engine->addresses(worker)[0]; }

  // Runs a command to its answer; the reason when it was refused. Instantiated in loopback.cpp for each command.
  template <typename Body>
  std::string run(Body body);

  void poll();
  std::int64_t counter(std::string_view name, std::size_t worker = 0);

  template <typename Event>
  std::size_t count() {
    poll();
    std::size_t found = 0;
    for (const ControlEvent& event : control) {
      found += std::holds_alternative<Event>(event) ? 1U : 0U;
    }
    return found;
  }

  // A transport with keys and one selected path.
  void join(std::uint32_t transport, Peer& peer, std::size_t worker = 0);
  void publish_audio(std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc);
  void publish_video(std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc);
  std::string forward(std::uint32_t id, std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc,
                      GatePosition gate = {});

  std::string error;
  std::unique_ptr<Engine> engine;
  std::map<std::uint64_t, std::string> acks;
  std::vector<ControlEvent> control;
  std::vector<NetworkEvent> network;
  StatsEvent stats;

 private:
  UniqueFd page_;
};

Data opus_packet(std::uint16_t seq, std::uint32_t ssrc);

Data video_packet(std::uint16_t seq, std::uint32_t ssrc, bool keyframe);

// A binding request with USERNAME and FINGERPRINT, as a browser's check has them; its integrity is nonsense.
Data stun_check(const std::string& ufrag);

}  // namespace parley::test
