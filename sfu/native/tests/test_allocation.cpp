// The promise of the core's design: no allocation per packet. Every `new` of this program is counted while a warmed-up
// worker receives, stores, forwards and answers; what remains are the events of its clock (levels, layers), some a
// second.
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "check.h"
#include "loopback.h"
#include "worker.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<std::size_t> allocations{0};

void* allocate(std::size_t size) {
  if (counting.load(std::memory_order_relaxed)) {
    allocations.fetch_add(1, std::memory_order_relaxed);
  }
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

using namespace parley;
using test::Data;

namespace {

constexpr std::uint32_t kViewers = 20;
constexpr int kPackets = 1000;

Data seal(Data data) {
  static TestCipher cipher;
  int size = static_cast<int>(data.size());
  data.resize(data.size() + kMaxSrtpTrailer);
  TestCipher::table().protect(&cipher, data.data(), &size);
  data.resize(static_cast<std::size_t>(size));
  return data;
}

// A publisher's packets of two seconds, a frame each: every 50th a keyframe.
std::vector<Data> film(std::uint16_t first) {
  std::vector<Data> packets;
  for (std::uint16_t count = 0; count < kPackets; ++count) {
    packets.push_back(seal(test::video_packet(static_cast<std::uint16_t>(first + count), 0x11, count % 50 == 0)));
  }
  return packets;
}

}  // namespace

TEST(a_forwarded_packet_allocates_nothing) {
  std::vector<std::unique_ptr<test::Peer>> peers;
  for (std::uint32_t peer = 0; peer <= kViewers; ++peer) {
    peers.push_back(std::make_unique<test::Peer>());
  }
  const UniqueFd page = test::make_page(16);
  GatePage gates;
  gates.map(page.get(), 16);
  std::string error;
  std::vector<std::unique_ptr<UdpSocket>> sockets;
  sockets.push_back(UdpSocket::open("127.0.0.1", 0, true, error));
  Wake wake;
  Neighbours neighbours{1};
  Worker worker(WorkerConfig{.coalesce = kMillisecond, .idle = 100 * kSecond, .seed = 3}, std::move(sockets), gates,
                TestCipher::table(), wake, neighbours);
  TimeNs now = 100 * kSecond;
  std::uint64_t ack = 0;
  const auto run = [&](CommandBody body) {
    Command command{++ack, std::move(body)};
    worker.run_command_for_test(command, now);
  };
  ExtensionIds ids;
  ids.set(Extension::kTwcc, 3);
  counting = true;
  for (std::uint32_t peer = 0; peer <= kViewers; ++peer) {
    run(AddTransport{0, peer + 1, {"ufrag" + std::to_string(peer)}});
    run(BindPath{peer + 1, {.socket = 0, .remote = peers[peer]->address()}, true});
    run(SetSrtp{peer + 1, &peers[peer]->rx(), &peers[peer]->rx(), *SrtpProfile::by_name("AEAD_AES_128_GCM")});
  }
  counting = false;
  CHECK(allocations.exchange(0) > 0);  // the control: what the worker allocates is counted
  run(AddTrack{100, 1, true, "v", {test::kVp8}, {{"", 0x11, 0x12}}, true, false});
  for (std::uint32_t viewer = 1; viewer <= kViewers; ++viewer) {
    run(SetExtensions{viewer + 1, ids, true});
    run(AddForward{200 + viewer, 100, viewer + 1, 0x900, 0x901, "0", {{Codec::kVp8, 120, 121}}, {}, false});
  }
  const auto play = [&](std::vector<Data> packets) {
    for (Data& packet : packets) {
      now += 2 * kMillisecond;
      worker.receive_for_test(0, peers[0]->address(), packet, now);
      worker.tick_for_test(now);
      auto& events = worker.outbox().control();
      while (events.front() != nullptr) {
        events.release();
      }
    }
  };
  const auto warm = film(1);
  auto counted = film(1 + kPackets);
  play(warm);
  counting = true;
  play(std::move(counted));
  counting = false;
  CHECK(allocations.load() <= 64);  // beside 20 000 packets that left
  Command stats{++ack, QueryStats{}};
  worker.run_command_for_test(stats, now);
  std::int64_t forwarded = 0;
  while (const ControlEvent* event = worker.outbox().control().front()) {
    if (const auto* answer = std::get_if<StatsEvent>(event)) {
      forwarded = answer->worker[static_cast<std::size_t>(Counter::rtp_forwarded)].second;
    }
    worker.outbox().control().release();
  }
  CHECK_EQ(forwarded, std::int64_t{2 * kPackets * kViewers});
  std::cerr << allocations.load() << " allocations while " << forwarded / 2 << " packets left\n";
}
