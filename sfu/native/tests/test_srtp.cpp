#include "srtp.h"

#include <vector>

#include "builders.h"
#include "check.h"
#include "test_cipher.h"

using namespace parley;
using test::Data;

namespace {

const SrtpProfile kProfile = *SrtpProfile::by_name("AEAD_AES_128_GCM");

Data with_room(Data data) {
  data.resize(data.size() + kMaxSrtpTrailer);
  return data;
}

}  // namespace

TEST(profiles_have_their_trailers) {
  CHECK_EQ(SrtpProfile::by_name("AEAD_AES_128_GCM")->rtp_trailer, 16);
  CHECK_EQ(SrtpProfile::by_name("AEAD_AES_128_GCM")->rtcp_trailer, 20);
  CHECK_EQ(SrtpProfile::by_name("AES128_CM_SHA1_80")->rtp_trailer, 10);
  CHECK_EQ(SrtpProfile::by_name("AES128_CM_SHA1_80")->rtcp_trailer, 14);
  CHECK(!SrtpProfile::by_name("AES128_CM_SHA1_32"));
}

TEST(a_packet_survives_the_round_trip) {
  TestCipher cipher;
  const Srtp srtp(&TestCipher::table(), &cipher, &cipher, kProfile);
  const Data plain = test::rtp({.extensions = {{1, {1, 2}}}, .payload = Data(50, 7)});
  Data packet = with_room(plain);
  std::size_t size = plain.size();
  CHECK(srtp.protect_rtp(packet.data(), size) == SrtpError::kNone);
  CHECK_EQ(size, plain.size() + 16);
  CHECK(Data(packet.begin(), packet.begin() + 20) == Data(plain.begin(), plain.begin() + 20));
  CHECK(srtp.unprotect_rtp(packet.data(), size) == SrtpError::kNone);
  packet.resize(size);
  CHECK(packet == plain);
}

TEST(every_changed_byte_is_rejected) {
  TestCipher cipher;
  const Srtp srtp(&TestCipher::table(), &cipher, &cipher, kProfile);
  const Data plain = test::rtp({.payload = Data(20, 7)});
  Data sealed = with_room(plain);
  std::size_t sealed_size = plain.size();
  srtp.protect_rtp(sealed.data(), sealed_size);
  sealed.resize(sealed_size);
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    Data changed = sealed;
    changed[at] ^= 0x40;
    std::size_t size = changed.size();
    CHECK(srtp.unprotect_rtp(changed.data(), size) == SrtpError::kRejected);
  }
}

TEST(another_key_is_rejected) {
  TestCipher ours{1};
  TestCipher theirs{2};
  const Srtp sender(&TestCipher::table(), nullptr, &ours, kProfile);
  const Srtp receiver(&TestCipher::table(), &theirs, nullptr, kProfile);
  Data packet = with_room(test::rtp());
  std::size_t size = packet.size() - kMaxSrtpTrailer;
  sender.protect_rtp(packet.data(), size);
  CHECK(receiver.unprotect_rtp(packet.data(), size) == SrtpError::kRejected);
}

TEST(what_is_shorter_than_header_and_tag_never_reaches_the_cipher) {
  const SrtpTable trap{[](void*, void*, int*) { return 0; }, [](void*, void*, int*) { return 0; },
                       [](void*, void*, int*) { return 0; }, [](void*, void*, int*) { return 0; }};
  int session = 0;
  const Srtp srtp(&trap, &session, &session, kProfile);
  Data packet(64, 0x80);
  for (std::size_t length = 0; length <= 64; ++length) {
    std::size_t size = length;
    CHECK_EQ(srtp.unprotect_rtp(packet.data(), size) == SrtpError::kTooShort, length < 12 + 16);
    size = length;
    CHECK_EQ(srtp.unprotect_rtcp(packet.data(), size) == SrtpError::kTooShort, length < 8 + 20);
  }
}

TEST(without_a_session_nothing_passes) {
  const Srtp srtp;
  Data packet(64, 0x80);
  std::size_t size = 40;
  CHECK(srtp.unprotect_rtp(packet.data(), size) == SrtpError::kNoSession);
  CHECK(srtp.protect_rtp(packet.data(), size) == SrtpError::kNoSession);
  CHECK(srtp.unprotect_rtcp(packet.data(), size) == SrtpError::kNoSession);
  CHECK(srtp.protect_rtcp(packet.data(), size) == SrtpError::kNoSession);
  CHECK(!srtp.can_receive());
  CHECK(!srtp.can_send());
}

TEST(replays_are_told_apart_from_forgeries) {
  const SrtpFunction replayed = [](void*, void*, int*) { return 9; };
  const SrtpFunction old = [](void*, void*, int*) { return 10; };
  int session = 0;
  const SrtpTable table{old, replayed, old, old};
  const Srtp srtp(&table, &session, &session, kProfile);
  Data packet(64, 0x80);
  std::size_t size = 64;
  CHECK(srtp.unprotect_rtp(packet.data(), size) == SrtpError::kReplayed);
  CHECK(srtp.unprotect_rtcp(packet.data(), size) == SrtpError::kReplayed);
}
