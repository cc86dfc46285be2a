#include "worker_bench.h"

#include <utility>

#include "check.h"

namespace parley::test {

Bench::Bench() : page_(make_page(16)) {
  std::string error;
  gates.map(page_.get(), 16);
  std::vector<std::unique_ptr<UdpSocket>> sockets;
  sockets.push_back(UdpSocket::open("127.0.0.1", 0, true, error));
  worker = std::make_unique<Worker>(WorkerConfig{.coalesce = kMillisecond, .idle = kSecond, .seed = 3},
                                    std::move(sockets), gates, TestCipher::table(), wake, neighbours);
}

std::string Bench::run(CommandBody body) {
  Command command{++last_ack, std::move(body)};
  worker->run_command_for_test(command, now);
  std::string error = "no answer";
  drain([&](const ControlEvent& event) {
    if (const auto* ack = std::get_if<AckEvent>(&event)) {
      error = ack->error;
    }
  });
  return error;
}

void Bench::drain(const std::function<void(const ControlEvent&)>& visit) {
  auto& ring = worker->outbox().control();
  while (const ControlEvent* event = ring.front()) {
    visit(*event);
    if (!std::holds_alternative<AckEvent>(*event)) {
      events.push_back(*event);
    }
    ring.release();
  }
}

std::int64_t Bench::counter(Counter which) {
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

void Bench::join(std::uint32_t transport, Peer& peer) {
  CHECK_EQ(run(AddTransport{0, transport, {"ufrag" + std::to_string(transport)}}), "");
  CHECK_EQ(run(BindPath{transport, {.socket = 0, .remote = peer.address()}, true}), "");
  CHECK_EQ(run(SetSrtp{transport, &peer.rx(), &peer.rx(), *SrtpProfile::by_name("AEAD_AES_128_GCM")}), "");
}

void Bench::audio(std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc) {
  CHECK_EQ(run(AddTrack{track, transport, false, "a", {kOpus}, {{"", ssrc, 0}}, false, false}), "");
}

void Bench::video(std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc) {
  CHECK_EQ(run(AddTrack{track, transport, true, "v", {kVp8}, {{"", ssrc, ssrc + 1}}, true, false}), "");
}

std::string Bench::forward(std::uint32_t id, std::uint32_t track, std::uint32_t transport, GatePosition gate,
                           std::uint32_t ssrc) {
  return run(AddForward{
      id, track, transport, ssrc, ssrc + 1, "0", {{Codec::kOpus, 100, -1}, {Codec::kVp8, 120, 121}}, gate, false});
}

Data Bench::seal(Data data, bool is_rtcp) {
  static TestCipher cipher;
  int size = static_cast<int>(data.size());
  data.resize(data.size() + kMaxSrtpTrailer);
  (is_rtcp ? TestCipher::table().protect_rtcp : TestCipher::table().protect)(&cipher, data.data(), &size);
  data.resize(static_cast<std::size_t>(size));
  return data;
}

void Bench::receive(const Peer& from, Data datagram) { worker->receive_for_test(0, from.address(), datagram, now); }

void Bench::receive_rtp(const Peer& from, Data packet) { receive(from, seal(std::move(packet))); }

void Bench::receive_rtcp(const Peer& from, Data packet) { receive(from, seal(std::move(packet), true)); }

void Bench::tick(TimeNs by) {
  now += by;
  worker->tick_for_test(now);
}

}  // namespace parley::test
