// The two doors of a worker: commands in, events out.
#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "command_queue.h"
#include "event_outbox.h"
#include "spsc_ring.h"

using namespace parley;

TEST(commands_come_out_in_order_and_a_full_queue_refuses) {
  CommandQueue<int> queue(4);
  for (int i = 0; i < 4; ++i) {
    CHECK(queue.push(int{i}));
  }
  CHECK_EQ(queue.room(), 0U);
  CHECK(!queue.push(9));
  for (int i = 0; i < 4; ++i) {
    CHECK_EQ(queue.pop().value_or(-1), i);
  }
  CHECK(!queue.pop());
  CHECK(queue.empty());
}

TEST(capacity_is_rounded_up_to_a_power_of_two) {
  CHECK_EQ(CommandQueue<int>(5).capacity(), 8U);
  CHECK_EQ(CommandQueue<int>(1).capacity(), 1U);
}

TEST(a_refused_command_is_not_taken) {
  CommandQueue<std::unique_ptr<int>> queue(1);
  CHECK(queue.push(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  CHECK(!queue.push(std::move(second)));
  CHECK(second != nullptr);
}

TEST(many_producers_lose_nothing) {
  constexpr int kProducers = 3;
  constexpr int kEach = 5000;
  CommandQueue<int> queue(64);
  std::vector<std::thread> producers;
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&queue, p] {
      for (int i = 0; i < kEach; ++i) {
        while (!queue.push(p * kEach + i)) {
          std::this_thread::yield();
        }
      }
    });
  }
  std::vector<int> last(kProducers, -1);
  int count = 0;
  while (count < kProducers * kEach) {
    const auto value = queue.pop();
    if (!value) {
      std::this_thread::yield();
      continue;
    }
    const auto producer = static_cast<std::size_t>(*value / kEach);
    CHECK(*value % kEach > last[producer]);
    last[producer] = *value % kEach;
    ++count;
  }
  for (auto& producer : producers) {
    producer.join();
  }
}

TEST(a_ring_gives_back_what_was_published_and_is_bounded) {
  SpscRing<int> ring(2);
  CHECK(ring.front() == nullptr);
  for (int i = 0; i < 2; ++i) {
    int* slot = ring.claim();
    CHECK(slot != nullptr);
    *slot = i;
    ring.publish();
  }
  CHECK(ring.claim() == nullptr);
  CHECK_EQ(*ring.front(), 0);
  ring.release();
  CHECK_EQ(ring.size(), 1U);
  CHECK(ring.claim() != nullptr);
}

TEST(news_cannot_crowd_out_answers) {
  Wake wake;
  Counters counters;
  EventOutbox outbox(wake, counters);
  for (std::size_t i = 0; i < EventOutbox::kControlEvents; ++i) {
    outbox.post(KeyframeEvent{1, 0});
  }
  CHECK_EQ(counters.get(Counter::drop_event_full), EventOutbox::kAnswerReserve);
  CHECK(outbox.has_room_for_answer());
  for (std::size_t i = 0; i < EventOutbox::kAnswerReserve; ++i) {
    outbox.post(AckEvent{i, ""});
  }
  CHECK_EQ(counters.get(Counter::drop_event_full), EventOutbox::kAnswerReserve);
  CHECK(!outbox.has_room_for_answer());
}

TEST(a_flood_of_datagrams_is_counted_and_leaves_the_answers_alone) {
  Wake wake;
  Counters counters;
  EventOutbox outbox(wake, counters);
  const std::vector<std::uint8_t> data(100, 1);
  for (std::size_t i = 0; i < EventOutbox::kNetworkEvents + 10; ++i) {
    outbox.post_datagram(true, 1, {.socket = 0, .remote = Endpoint{}}, data);
  }
  CHECK_EQ(counters.get(Counter::drop_event_network_full), 10U);
  outbox.post(AckEvent{1, ""});
  CHECK_EQ(counters.get(Counter::drop_event_full), 0U);
  const std::vector<std::uint8_t> too_long(NetworkEvent::kMaxBytes + 1, 1);
  outbox.network().release();
  CHECK(!outbox.post_datagram(true, 1, {.socket = 0, .remote = Endpoint{}}, too_long));
}

TEST(a_wake_is_written_once_until_it_is_cleared) {
  Wake wake;
  wake.notify();
  wake.notify();
  std::uint64_t count = 0;
  CHECK(read(wake.fd(), &count, sizeof count) == static_cast<ssize_t>(sizeof count));
  CHECK_EQ(count, 1U);
  wake.clear();
  wake.notify();
  CHECK(read(wake.fd(), &count, sizeof count) == static_cast<ssize_t>(sizeof count));
}
