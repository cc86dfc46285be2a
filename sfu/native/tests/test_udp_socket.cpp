// Sockets and the arena on real loopback.
#include "udp_socket.h"

#include <sys/socket.h>

#include <memory>
#include <vector>

#include "builders.h"
#include "check.h"
#include "loopback.h"
#include "neighbours.h"
#include "send_arena.h"

using namespace parley;
using test::Data;

namespace {

std::unique_ptr<UdpSocket> open_socket(bool gro = true, const char* ip = "127.0.0.1") {
  std::string error;
  auto socket = UdpSocket::open(ip, 0, gro, error);
  CHECK_EQ(error, "");
  return socket;
}

// Datagrams in order of arrival, trains taken apart.
std::vector<Data> receive_all(UdpSocket& socket, std::size_t wanted) {
  static ReceiveBatch batch;
  Counters counters;
  std::vector<Data> datagrams;
  test::until([&] {
    socket.receive(batch, counters);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      auto rest = batch[i].data;
      do {
        const auto part = rest.first(std::min(rest.size(), batch[i].segment_bytes));
        datagrams.emplace_back(part.begin(), part.end());
        rest = rest.subspan(part.size());
      } while (!rest.empty());
    }
    return datagrams.size() >= wanted;
  });
  return datagrams;
}

Data filled(std::size_t size, std::size_t value) { return Data(size, static_cast<std::uint8_t>(value)); }

struct Rig {
  Counters counters;
  TcpAdmission admission;
  TcpPaths tcp{admission, counters};
  std::vector<std::unique_ptr<UdpSocket>> sockets;
  std::unique_ptr<SendArena> arena;

  Rig() {
    sockets.push_back(open_socket());
    sockets.push_back(open_socket());
    arena = std::make_unique<SendArena>(sockets, tcp, counters);
  }
  void put(const Endpoint& to, const Data& data, std::uint32_t socket = 0) {
    copy_to(arena->claim(), 0, data);
    arena->commit({.socket = socket, .remote = to}, data.size());
  }
};

}  // namespace

TEST(addresses_that_cannot_be_bound_are_refused_with_a_reason) {
  std::string error;
  CHECK(UdpSocket::open("not an address", 0, true, error) == nullptr);
  CHECK(!error.empty());
  error.clear();
  CHECK(UdpSocket::open("203.0.113.77", 0, true, error) == nullptr);
  CHECK(error.find("203.0.113.77") != std::string::npos);
  const auto taken = open_socket();
  CHECK(UdpSocket::open("127.0.0.1", taken->local().port, true, error) == nullptr);
}

TEST(equal_datagrams_to_one_peer_leave_as_one_train) {
  Rig rig;
  auto far = open_socket();
  std::vector<Data> sent;
  for (std::size_t i = 0; i < 5; ++i) {
    sent.push_back(filled(1000, i));
  }
  sent.push_back(filled(400, 9));
  for (const Data& data : sent) {
    rig.put(far->local(), data);
  }
  rig.arena->flush();
  CHECK_EQ(rig.counters.get(Counter::messages_sent), 1U);
  CHECK_EQ(rig.counters.get(Counter::datagrams_sent), 6U);
  CHECK(receive_all(*far, 6) == sent);
}

TEST(a_longer_datagram_starts_a_train_and_a_shorter_one_ends_it) {
  Rig rig;
  auto far = open_socket(false);
  const std::vector<Data> sent = {filled(500, 1), filled(500, 2), filled(501, 3), filled(501, 4),
                                  filled(100, 5), filled(100, 6), filled(501, 7)};
  for (const Data& data : sent) {
    rig.put(far->local(), data);
  }
  rig.arena->flush();
  // 500 500 | 501 501 100 | 100 | 501
  CHECK_EQ(rig.counters.get(Counter::messages_sent), 4U);
  CHECK(receive_all(*far, sent.size()) == sent);
}

TEST(peers_and_sockets_do_not_share_trains) {
  Rig rig;
  auto one = open_socket();
  auto two = open_socket();
  rig.put(one->local(), filled(100, 1));
  rig.put(two->local(), filled(100, 2));
  rig.put(one->local(), filled(100, 3), 1);
  rig.put(one->local(), filled(100, 4), 0);
  rig.arena->flush();
  CHECK_EQ(rig.counters.get(Counter::messages_sent), 4U);
  CHECK_EQ(receive_all(*one, 3).size(), 3U);
  CHECK(receive_all(*two, 1) == std::vector<Data>{filled(100, 2)});
}

TEST(trains_end_at_the_kernels_limits) {
  Rig rig;
  auto far = open_socket();
  for (std::size_t i = 0; i < 150; ++i) {
    rig.put(far->local(), filled(200, i));
  }
  rig.arena->flush();
  CHECK_EQ(rig.counters.get(Counter::messages_sent), 3U);
  CHECK_EQ(receive_all(*far, 150).size(), 150U);
  for (std::size_t i = 0; i < 70; ++i) {
    rig.put(far->local(), filled(1400, i));
  }
  rig.arena->flush();
  CHECK_EQ(receive_all(*far, 70).size(), 70U);
  CHECK_EQ(rig.counters.get(Counter::gso_refused), 0U);
}

TEST(more_than_the_arena_holds_is_sent_on_the_way) {
  Rig rig;
  auto far = open_socket();
  std::vector<Data> received;
  for (std::size_t i = 0; i < 600; ++i) {
    rig.put(far->local(), filled(1200 + i % 3, i));
    if (i % 50 == 49) {
      rig.arena->flush();
      const auto part = receive_all(*far, 50);
      received.insert(received.end(), part.begin(), part.end());
    }
  }
  CHECK_EQ(received.size(), 600U);
  for (std::size_t i = 0; i < received.size(); ++i) {
    CHECK(received[i] == filled(1200 + i % 3, i));
  }
}

TEST(more_trains_than_one_call_takes_keep_their_bytes) {
  Rig rig;
  auto one = open_socket();
  auto two = open_socket();
  constexpr std::size_t kEach = 100;
  for (std::size_t i = 0; i < kEach; ++i) {
    rig.put(one->local(), filled(300, i));
    rig.put(two->local(), filled(300, i + 100));
  }
  rig.arena->flush();
  const auto first = receive_all(*one, kEach);
  const auto second = receive_all(*two, kEach);
  CHECK_EQ(first.size(), kEach);
  CHECK_EQ(second.size(), kEach);
  for (std::size_t i = 0; i < kEach; ++i) {
    CHECK(first[i] == filled(300, i));
    CHECK(second[i] == filled(300, i + 100));
  }
}

TEST(a_kernel_without_segmentation_gets_datagram_by_datagram) {
  Rig rig;
  rig.sockets[0]->disable_segmentation();
  auto far = open_socket();
  std::vector<Data> sent;
  for (std::size_t i = 0; i < 5; ++i) {
    sent.push_back(filled(700, i));
    rig.put(far->local(), sent.back());
  }
  rig.arena->flush();
  CHECK(receive_all(*far, 5) == sent);
  CHECK_EQ(rig.counters.get(Counter::datagrams_sent), 5U);
}

TEST(a_train_that_the_path_refuses_is_taken_apart) {
  Rig rig;
  auto far = open_socket();
  // Segments longer than loopback's MTU cannot be: use the refusal of a train whose segment is longer than its bytes.
  Data data = filled(900, 1);
  const Train broken{far->local(), data.data(), 900, 450, 2};
  // No checksum offload for this socket makes the kernel refuse UDP_SEGMENT with EIO.
  const int on = 1;
  CHECK(setsockopt(rig.sockets[0]->fd(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on) == 0);
  rig.sockets[0]->send(std::span(&broken, 1), rig.counters);
  CHECK_EQ(receive_all(*far, 2).size(), 2U);
  CHECK_EQ(rig.counters.get(Counter::datagrams_sent), 2U);
}

TEST(a_datagram_that_no_path_takes_is_a_counted_drop) {
  auto near = open_socket();
  auto far = open_socket();
  Data data = filled(65'530, 1);  // over the UDP limit
  const Train trains[] = {{far->local(), data.data(), 65'530, 65'530, 1}, {far->local(), data.data(), 100, 100, 1}};
  Counters counters;
  near->send(trains, counters);
  CHECK_EQ(counters.get(Counter::drop_send_refused), 1U);
  CHECK_EQ(receive_all(*far, 1).size(), 1U);
}

TEST(an_address_that_cannot_be_reached_is_a_counted_drop) {
  Rig rig;
  rig.put(*Endpoint::parse("2001:db8::1", 9), filled(100, 1));  // an IPv6 address on an IPv4 socket
  rig.put(rig.sockets[1]->local(), filled(100, 2));
  rig.arena->flush();
  CHECK_EQ(rig.counters.get(Counter::drop_send_refused), 1U);
  CHECK_EQ(receive_all(*rig.sockets[1], 1).size(), 1U);
}

TEST(ipv6_works_as_ipv4_does) {
  auto near = open_socket(true, "::1");
  auto far = open_socket(true, "::1");
  Data data = filled(300, 5);
  const Train train{far->local(), data.data(), 300, 100, 3};
  Counters counters;
  near->send(std::span(&train, 1), counters);
  CHECK_EQ(receive_all(*far, 3).size(), 3U);
}

TEST(empty_datagrams_arrive_as_empty) {
  auto far = open_socket();
  test::Peer peer;
  peer.send_raw(far->local(), {});
  CHECK(receive_all(*far, 1) == std::vector<Data>{Data{}});
}
