// The promise of the core's design: no lock per packet. Every mutex that a thread of a worker takes is counted while
// packets pass through a whole engine, inside a worker and from one to the other, with the timers that run meanwhile.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "check.h"
#include "loopback.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<std::size_t> locks{0};
const std::thread::id tester = std::this_thread::get_id();

using Lock = int(pthread_mutex_t*);

Lock* next(const char* name) { return std::bit_cast<Lock*>(dlsym(RTLD_NEXT, name)); }

void note() {
  if (counting.load(std::memory_order_relaxed) && std::this_thread::get_id() != tester) {
    locks.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace

// In front of the C library's, for this program and every library in it.
extern "C" [[gnu::visibility("default")]] int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  static Lock* const real = next("pthread_mutex_lock");
  note();
  return real(mutex);
}

extern "C" [[gnu::visibility("default")]] int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  static Lock* const real = next("pthread_mutex_trylock");
  note();
  return real(mutex);
}

using namespace parley;
using test::House;

namespace {

constexpr std::uint32_t kViewers = 20;
constexpr std::uint16_t kPackets = 1000;
constexpr std::uint16_t kBurst = 20;

std::size_t counted(const std::function<void()>& work) {
  locks = 0;
  counting = true;
  work();
  counting = false;
  return locks;
}

}  // namespace

TEST(a_lock_of_another_thread_is_counted) {
  std::mutex mutex;
  CHECK_EQ(counted([&] { std::thread([&] { const std::lock_guard lock(mutex); }).join(); }), 1U);
}

TEST(a_packet_takes_no_lock_on_its_way_through_the_workers) {
  test::Peer publisher;
  std::vector<std::unique_ptr<test::Peer>> viewers;
  House house({}, 2);
  CHECK_EQ(house.error, "");
  house.join(1, publisher);
  house.publish_video(100, 1, 0x11);
  for (std::uint32_t viewer = 0; viewer < kViewers; ++viewer) {
    viewers.push_back(std::make_unique<test::Peer>());
    house.join(10 + viewer, *viewers.back(), viewer % 2);
    CHECK_EQ(house.forward(200 + viewer, 100, 10 + viewer, 0x900), "");
  }
  std::uint16_t seq = 0;
  const auto play = [&] {
    for (std::uint16_t packet = 0; packet < kPackets; ++packet) {
      ++seq;
      publisher.send_rtp(house.address(), test::video_packet(seq, 0x11, packet % 50 == 0));
      if (seq % kBurst == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        for (const auto& viewer : viewers) {
          viewer->collect();
          viewer->rtp.clear();
        }
      }
    }
  };
  const auto forwarded = [&] { return house.counter("rtp_forwarded", 0) + house.counter("rtp_forwarded", 1); };
  play();
  const auto before = forwarded();
  // Loopback may lose some on a busy machine.
  const std::size_t found = counted([&] {
    play();
    CHECK(test::until([&] { return forwarded() - before > kPackets * kViewers * 9 / 10; }));
  });
  CHECK_EQ(found, 0U);
  std::cerr << found << " locks while " << forwarded() - before << " packets left\n";
  house.engine->close();
}
