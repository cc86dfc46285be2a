#include "check_lease.h"

#include <cstring>
#include <string>

#include "builders.h"
#include "check.h"
#include "crc32.h"

using namespace parley;
using test::Data;

namespace {

const char kDigest = 0;

// No cryptography: all bytes of key and data in twenty sums.
unsigned char* toy(const void*, const void* key, int key_bytes, const unsigned char* data, std::size_t bytes,
                   unsigned char* out, unsigned int* out_bytes) {
  std::memset(out, 1, HmacTable::kBytes);
  for (int at = 0; at < key_bytes; ++at) {
    out[at % 20] = static_cast<unsigned char>(31 * out[at % 20] + static_cast<const unsigned char*>(key)[at]);
  }
  for (std::size_t at = 0; at < bytes; ++at) {
    out[at % 20] = static_cast<unsigned char>(31 * out[at % 20] + data[at]);
  }
  *out_bytes = HmacTable::kBytes;
  return out;
}

const HmacTable kToy{.function = toy, .sha1 = &kDigest};

void attribute(Data& out, std::uint16_t type, const Data& value) {
  test::put_u16(out, type);
  test::put_u16(out, static_cast<std::uint32_t>(value.size()));
  out.insert(out.end(), value.begin(), value.end());
  out.resize((out.size() + 3) / 4 * 4);
}

Data text(std::string_view value) { return {value.begin(), value.end()}; }

Data browser_check(std::string_view pwd, std::uint8_t transaction, std::size_t filler = 0) {
  Data out;
  test::put_u16(out, 0x0001);
  test::put_u16(out, 0);
  test::put_u32(out, 0x2112A442);
  out.insert(out.end(), 12, transaction);
  attribute(out, 0x0006, text("ufrag:remote"));
  if (filler > 0) {
    attribute(out, 0xC001, Data(filler, 7));
  }
  store_u16(out, 2, static_cast<std::uint16_t>(out.size() - 20 + 24));
  std::array<std::uint8_t, 20> integrity{};
  (void)kToy.sign(pwd, out, integrity);
  attribute(out, 0x0008, Data(integrity.begin(), integrity.end()));
  store_u16(out, 2, static_cast<std::uint16_t>(out.size() - 20 + 8));
  const std::uint32_t crc = crc32(out) ^ kStunFingerprintXor;
  test::put_u32(out, 0x80280004);
  test::put_u32(out, crc);
  return out;
}

std::size_t ask(CheckLease& lease, const Data& datagram, const Endpoint& remote, std::array<std::uint8_t, 80>& out,
                const HmacTable& hmac = kToy) {
  const auto probe = probe_stun(datagram);
  CHECK(probe.has_value());
  return lease.answer(hmac, datagram, *probe, remote, kSecond, out);
}

const Endpoint kV4 = *Endpoint::parse("192.0.2.1", 5000);
const Endpoint kV6 = *Endpoint::parse("2001:db8::7", 5000);

}  // namespace

TEST(an_answer_is_a_whole_message_with_the_address_masked) {
  CheckLease lease;
  lease.lend("ufrag", "secret");
  std::array<std::uint8_t, 80> out{};
  for (const auto& [remote, size] : {std::pair(kV4, 64U), std::pair(kV6, 76U)}) {
    CHECK_EQ(ask(lease, browser_check("secret", 9), remote, out), size);
    const Bytes answer = Bytes(out).first(size);
    const auto probe = probe_stun(answer);  // length and FINGERPRINT are right
    CHECK(probe.has_value());
    CHECK(probe->message_class == StunClass::kSuccess);
    CHECK_EQ(probe->transaction_id[0], 9);
    CHECK_EQ(load_u16(answer, 26), 5000 ^ 0x2112);
  }
  CHECK_EQ(load_u32(out, 28), 0x20010db8U ^ 0x2112A442U);
}

TEST(what_python_must_judge_has_no_answer) {
  CheckLease lease;
  std::array<std::uint8_t, 80> out{};
  CHECK_EQ(ask(lease, browser_check("secret", 1), kV4, out), 0U);
  lease.lend("ufrag", "secret");
  CHECK_EQ(ask(lease, browser_check("other", 1), kV4, out), 0U);
  CHECK_EQ(ask(lease, browser_check("secret", 1), kV4, out, HmacTable{}), 0U);
  CHECK_EQ(ask(lease, browser_check("secret", 1, 600), kV4, out), 0U);
  CHECK(!lease.is_heard());
  lease.lend("another", "secret");
  CHECK_EQ(ask(lease, browser_check("secret", 1), kV4, out), 0U);
}

TEST(what_was_answered_is_known_for_a_while_and_who_was_heard_once) {
  CheckLease lease;
  lease.lend("ufrag", "secret");
  std::array<std::uint8_t, 80> out{};
  CHECK(ask(lease, browser_check("secret", 1), kV4, out) != 0);
  CHECK(lease.is_heard());
  CHECK_EQ(lease.heard(), kSecond);
  lease.forget_heard();
  CHECK(!lease.is_heard());
  lease.lend("", "");
  const Data first = browser_check("secret", 1);
  const Data second = browser_check("secret", 2);
  CHECK(lease.has_answered(*probe_stun(first)));
  CHECK(!lease.has_answered(*probe_stun(second)));
}

TEST(a_repetition_is_answered_and_nobody_is_heard) {
  CheckLease lease;
  lease.lend("ufrag", "secret");
  std::array<std::uint8_t, 80> out{};
  CHECK(ask(lease, browser_check("secret", 1), kV4, out) != 0);
  lease.forget_heard();
  CHECK(ask(lease, browser_check("secret", 1), kV4, out) != 0);
  CHECK(!lease.is_heard());
}

TEST(other_credentials_begin_with_an_empty_memory) {
  CheckLease lease;
  lease.lend("ufrag", "secret");
  std::array<std::uint8_t, 80> out{};
  const Data check = browser_check("secret", 1);
  CHECK(ask(lease, check, kV4, out) != 0);
  lease.lend("", "");
  lease.lend("ufrag", "secret");
  CHECK(lease.has_answered(*probe_stun(check)));
  lease.lend("other", "password");
  CHECK(!lease.has_answered(*probe_stun(check)));
}

TEST(repetitions_push_nothing_out_of_memory) {
  CheckLease lease;
  lease.lend("ufrag", "secret");
  std::array<std::uint8_t, 80> out{};
  const Data nomination = browser_check("secret", 1);
  CHECK(ask(lease, nomination, kV4, out) != 0);
  for (int repetition = 0; repetition < 200; ++repetition) {
    CHECK(ask(lease, browser_check("secret", 2), kV4, out) != 0);
  }
  CHECK(lease.has_answered(*probe_stun(nomination)));
}
