#include "path_table.h"

#include <map>
#include <random>
#include <vector>

#include "check.h"
#include "ssrc_table.h"
#include "stun_guard.h"
#include "track.h"
#include "transport.h"

using namespace parley;

namespace {

Endpoint v4(std::uint16_t port) { return *Endpoint::parse("192.0.2.1", port); }

}  // namespace

TEST(endpoints_parse_and_print) {
  CHECK_EQ(Endpoint::parse("192.0.2.7", 5)->ip_text(), "192.0.2.7");
  CHECK_EQ(Endpoint::parse("2001:db8::1", 5)->ip_text(), "2001:db8::1");
  CHECK(Endpoint::parse("::ffff:192.0.2.7", 5) == Endpoint::parse("192.0.2.7", 5));
  CHECK(!Endpoint::parse("host.example", 5));
  CHECK(!Endpoint::parse("", 5));
  CHECK(!Endpoint::parse("1.2.3.4.5", 5));
}

TEST(an_endpoint_survives_its_sockaddr) {
  for (const char* ip : {"192.0.2.7", "2001:db8::1"}) {
    const Endpoint endpoint = *Endpoint::parse(ip, 4711);
    sockaddr_storage name{};
    CHECK(endpoint.write(name) > 0);
    CHECK(Endpoint::from(name) == endpoint);
  }
}

TEST(a_path_belongs_to_its_socket_and_address) {
  Transport one(1);
  Transport two(2);
  PathTable table(99);
  CHECK(table.put(0, v4(1), &one) == nullptr);
  CHECK(table.put(1, v4(1), &two) == nullptr);
  CHECK(table.find(0, v4(1)) == &one);
  CHECK(table.find(1, v4(1)) == &two);
  CHECK(table.find(0, v4(2)) == nullptr);
  CHECK(table.put(0, v4(1), &two) == &one);
  CHECK_EQ(table.size(), 2U);
}

TEST(a_thousand_random_changes_agree_with_a_map) {
  Transport transports[3] = {Transport(1), Transport(2), Transport(3)};
  PathTable table(1234);
  std::map<std::pair<std::uint32_t, std::uint16_t>, Transport*> model;
  std::mt19937 random(5);
  for (int step = 0; step < 20'000; ++step) {
    const std::uint32_t socket = random() % 2;
    const auto port = static_cast<std::uint16_t>(random() % 300);
    if (random() % 3 != 0) {
      Transport* transport = &transports[random() % 3];
      table.put(socket, v4(port), transport);
      model[{socket, port}] = transport;
    } else {
      table.erase(socket, v4(port));
      model.erase({socket, port});
    }
    const std::uint32_t other_socket = random() % 2;
    const auto other_port = static_cast<std::uint16_t>(random() % 300);
    const auto at = model.find({other_socket, other_port});
    CHECK(table.find(other_socket, v4(other_port)) == (at == model.end() ? nullptr : at->second));
  }
  CHECK_EQ(table.size(), model.size());
}

TEST(the_ssrc_table_is_capped_and_refuses_what_is_new) {
  SsrcTable table;
  for (std::uint32_t ssrc = 1; ssrc <= SsrcTable::kCapacity; ++ssrc) {
    CHECK(table.claim(ssrc) != nullptr);
  }
  CHECK(table.is_full());
  CHECK(table.claim(1000) == nullptr);
  CHECK(table.claim(1) != nullptr);
  CHECK(table.find(64) != nullptr);
  CHECK(table.find(65) == nullptr);
}

TEST(a_removed_tracks_ssrcs_are_forgotten_and_others_stay) {
  Transport owner(1);
  Track one(1, &owner, true);
  Track two(2, &owner, true);
  SsrcTable table;
  for (std::uint32_t ssrc = 1; ssrc <= 10; ++ssrc) {
    table.claim(ssrc)->track = ssrc % 2 == 0 ? &two : &one;
  }
  table.forget(&one);
  CHECK_EQ(table.size(), 5U);
  CHECK(table.find(3) == nullptr);
  CHECK(table.find(4) != nullptr);
}

TEST(a_source_that_floods_is_limited_alone) {
  StunGuard guard(42);
  const Endpoint flooder = v4(1000);
  std::size_t admitted = 0;
  for (int i = 0; i < 1000; ++i) {
    admitted += guard.admit(flooder, kSecond) ? 1U : 0U;
  }
  CHECK_EQ(admitted, static_cast<std::size_t>(2 * StunGuard::kPerSource));
  CHECK(guard.admit(*Endpoint::parse("198.51.100.1", 9), kSecond));
  CHECK(guard.admit(flooder, 2 * kSecond));
}

TEST(a_thousand_sources_together_are_limited) {
  StunGuard guard(42);
  std::int64_t admitted = 0;
  for (std::uint32_t i = 0; i < 60'000; ++i) {
    const std::string ip =
        "10." + std::to_string(i / 65536) + "." + std::to_string(i / 256 % 256) + "." + std::to_string(i % 256);
    admitted += guard.admit(*Endpoint::parse(ip, 5), kSecond) ? 1 : 0;
  }
  CHECK_EQ(admitted, StunGuard::kOverall);
}
