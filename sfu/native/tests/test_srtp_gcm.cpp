#include "srtp_gcm.h"

#include <numeric>
#include <vector>

#include "builders.h"
#include "check.h"
#include "srtp.h"
#include "test_cipher.h"

using namespace parley;
using test::Data;

namespace {

constexpr std::uint64_t kSecret = 0x9e3779b97f4a7c15;

std::array<std::uint8_t, GcmKeys::kMaster> master() {
  std::array<std::uint8_t, GcmKeys::kMaster> bytes;
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  std::iota(bytes.begin() + AesGcm::kKey, bytes.end(), std::uint8_t{100});
  return bytes;
}

GcmSender sender() { return GcmSender(GcmKeys::derive(master()), kSecret); }
GcmReceiver receiver() { return GcmReceiver(GcmKeys::derive(master()), kSecret); }

struct Sealed {
  SrtpError error = SrtpError::kNone;
  Data packet;
};

Sealed seal(GcmSender& sender, Data packet) {
  std::size_t size = packet.size();
  packet.resize(size + kMaxSrtpTrailer);
  const SrtpError error = sender.protect(packet.data(), size);
  packet.resize(size);
  return {error, std::move(packet)};
}

Sealed open(GcmReceiver& receiver, Data packet) {
  std::size_t size = packet.size();
  const SrtpError error = receiver.unprotect(packet.data(), size);
  packet.resize(size);
  return {error, std::move(packet)};
}

Data numbered(std::uint32_t index, std::uint32_t ssrc = 7) {
  return test::rtp({.seq = static_cast<std::uint16_t>(index), .ssrc = ssrc, .payload = {1}});
}

}  // namespace

TEST(the_library_passes_its_known_answer_here) { CHECK(AesGcm::is_available()); }

// Source: RFC 7714 section 16.1.1, whose key and salt are those of the session.
TEST(the_packet_of_rfc_7714) {
  std::array<std::uint8_t, AesGcm::kKey> key;
  std::iota(key.begin(), key.end(), std::uint8_t{0});
  const GcmKeys::Salt salt{0x51, 0x75, 0x69, 0x64, 0x20, 0x70, 0x72, 0x6f, 0x20, 0x71, 0x75, 0x6f};
  GcmSender sender(GcmKeys(AesGcm::Key(key), salt), kSecret);
  const Data plain{0x80, 0x40, 0xf1, 0x7b, 0x80, 0x41, 0xf8, 0xd3, 0x55, 0x01, 0xa0, 0xb2, 0x47, 0x61, 0x6c, 0x6c, 0x69,
                   0x61, 0x20, 0x65, 0x73, 0x74, 0x20, 0x6f, 0x6d, 0x6e, 0x69, 0x73, 0x20, 0x64, 0x69, 0x76, 0x69, 0x73,
                   0x61, 0x20, 0x69, 0x6e, 0x20, 0x70, 0x61, 0x72, 0x74, 0x65, 0x73, 0x20, 0x74, 0x72, 0x65, 0x73};
  const Data expected{0x80, 0x40, 0xf1, 0x7b, 0x80, 0x41, 0xf8, 0xd3, 0x55, 0x01, 0xa0, 0xb2, 0xf2, 0x4d,
                      0xe3, 0xa3, 0xfb, 0x34, 0xde, 0x6c, 0xac, 0xba, 0x86, 0x1c, 0x9d, 0x7e, 0x4b, 0xca,
                      0xbe, 0x63, 0x3b, 0xd5, 0x0d, 0x29, 0x4e, 0x6f, 0x42, 0xa5, 0xf4, 0x7a, 0x51, 0xc7,
                      0xd1, 0x9b, 0x36, 0xde, 0x3a, 0xdf, 0x88, 0x33, 0x89, 0x9d, 0x7f, 0x27, 0xbe, 0xb1,
                      0x6a, 0x91, 0x52, 0xcf, 0x76, 0x5e, 0xe4, 0x39, 0x0c, 0xce};
  CHECK(seal(sender, plain).packet == expected);
  GcmReceiver receiver(GcmKeys(AesGcm::Key(key), salt), kSecret);
  CHECK(open(receiver, expected).packet == plain);
}

// Computed with another implementation: keys by RFC 3711 section 4.3, the packet by RFC 7714.
TEST(session_keys_come_from_the_master) {
  Data plain{0x80, 0x60, 0x12, 0x34, 0x00, 0xaa, 0xbb, 0xcc, 0x11, 0x22, 0x33, 0x44};
  for (const char letter : std::string_view("parley known answer")) {
    plain.push_back(static_cast<std::uint8_t>(letter));
  }
  const Data expected{0x80, 0x60, 0x12, 0x34, 0x00, 0xaa, 0xbb, 0xcc, 0x11, 0x22, 0x33, 0x44, 0x0b, 0xf0, 0x32, 0xe3,
                      0xea, 0xe6, 0x28, 0xf5, 0x6b, 0xc4, 0x03, 0xc7, 0xa1, 0xa5, 0xba, 0xa3, 0xd0, 0xf0, 0x53, 0x14,
                      0x08, 0x25, 0x7c, 0x5b, 0xae, 0x6a, 0xfa, 0xd3, 0xeb, 0xa8, 0x04, 0xae, 0x6a, 0xeb, 0x9c};
  GcmSender from = sender();
  CHECK(seal(from, plain).packet == expected);
}

TEST(a_packet_with_everything_survives_the_round_trip) {
  GcmSender from = sender();
  GcmReceiver to = receiver();
  for (std::uint16_t length = 0; length < 300; ++length) {
    const Data plain = test::rtp({.seq = length, .ssrc = 3, .extensions = {{1, {1, 2}}}, .payload = Data(length, 7)});
    const Sealed sealed = seal(from, plain);
    CHECK(sealed.error == SrtpError::kNone);
    CHECK_EQ(sealed.packet.size(), plain.size() + AesGcm::kTag);
    CHECK(open(to, sealed.packet).packet == plain);
  }
}

TEST(every_changed_bit_is_rejected_and_costs_nothing) {
  GcmSender from = sender();
  GcmReceiver to = receiver();
  const Data plain = test::rtp({.extensions = {{1, {1, 2}}}, .payload = Data(40, 7)});
  const Data sealed = seal(from, plain).packet;
  for (std::size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
    Data changed = sealed;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1U << (bit % 8)));
    CHECK(open(to, changed).error == SrtpError::kRejected);
  }
  CHECK(open(to, sealed).packet == plain);
  CHECK(open(to, sealed).error == SrtpError::kReplayed);
}

TEST(no_index_is_sealed_twice) {
  GcmSender from = sender();
  CHECK(seal(from, numbered(10)).error == SrtpError::kNone);
  CHECK(seal(from, numbered(12)).error == SrtpError::kNone);
  CHECK(seal(from, numbered(11)).error == SrtpError::kNone);
  for (const std::uint32_t seq : {10U, 11U, 12U}) {
    CHECK(seal(from, numbered(seq)).error == SrtpError::kReplayed);
    CHECK(seal(from, numbered(seq, 8)).error == SrtpError::kNone);
  }
}

TEST(a_session_that_is_told_twice_goes_on) {
  TestCipher cipher;
  const SrtpProfile profile = *SrtpProfile::by_name("AEAD_AES_128_GCM");
  const auto fresh = [&] {
    return Srtp(&TestCipher::table(), &cipher, &cipher, profile, SrtpCiphers::derive(master(), master(), kSecret));
  };
  const auto protect = [](const Srtp& srtp, Data packet) {
    std::size_t size = packet.size();
    packet.resize(size + kMaxSrtpTrailer);
    return srtp.protect_rtp(packet.data(), size);
  };
  const Srtp first = fresh();
  CHECK(protect(first, numbered(10)) == SrtpError::kNone);
  Srtp second = fresh();
  second.continue_from(first);
  CHECK(protect(second, numbered(10)) == SrtpError::kReplayed);
  CHECK(protect(second, numbered(11)) == SrtpError::kNone);
}

TEST(the_rollover_counter_follows_on_both_sides) {
  GcmSender from = sender();
  GcmReceiver to = receiver();
  for (std::uint32_t index = 65'000; index < 200'000; index += 97) {
    const Data plain = numbered(index);
    const Sealed sealed = seal(from, plain);
    CHECK(sealed.error == SrtpError::kNone);
    CHECK(open(to, sealed.packet).packet == plain);
  }
}

// Source: RFC 3711 section 3.3.1 and its appendix A.
TEST(indexes_are_estimated_next_to_the_newest) {
  CHECK_EQ(estimate_index(100, 99), 99U);
  CHECK_EQ(estimate_index(100, 60'000), 60'000U);  // there is nothing before the first round
  CHECK_EQ(estimate_index(65'535, 2), 65'538U);
  CHECK_EQ(estimate_index(65'536 + 10, 65'530), 65'530U);
  CHECK_EQ(estimate_index(65'536 + 40'000, 39'000), 65'536U + 39'000U);
  CHECK_EQ(estimate_index(65'536 + 40'000, 100), 2 * 65'536U + 100U);
  CHECK_EQ(estimate_index(65'536 + 100, 32'868), 65'536U + 32'868U);
  CHECK_EQ(estimate_index(65'536 + 100, 32'869), 32'869U);
}

TEST(sources_are_kept_apart_however_many_they_are) {
  GcmSender from = sender();
  GcmReceiver to = receiver();
  for (const std::uint32_t seq : {1U, 2U}) {
    for (std::uint32_t ssrc = 0; ssrc < 3000; ++ssrc) {
      const Data plain = numbered(seq, ssrc * 0x01000193U);
      const Sealed sealed = seal(from, plain);
      CHECK(open(to, sealed.packet).packet == plain);
      CHECK(open(to, sealed.packet).error == SrtpError::kReplayed);
    }
  }
}

TEST(a_receiver_has_room_for_so_many_sources) {
  GcmSender from = sender();
  GcmReceiver to = receiver();
  for (std::uint32_t ssrc = 0; ssrc < GcmReceiver::kMaxSources; ++ssrc) {
    CHECK(open(to, seal(from, numbered(1, ssrc)).packet).error == SrtpError::kNone);
  }
  CHECK(open(to, seal(from, numbered(1, 1'000'000)).packet).error == SrtpError::kTooManySources);
  CHECK(open(to, seal(from, numbered(2, 5)).packet).error == SrtpError::kNone);
}

TEST(what_is_no_packet_is_refused_before_the_cipher) {
  GcmSender from = sender();
  GcmReceiver to = receiver();
  for (std::size_t length = 0; length < 12 + 16; ++length) {
    CHECK(open(to, Data(length, 0x80)).error == SrtpError::kTooShort);
  }
  Data lies(40, 0);
  lies[0] = 0x8F;  // 15 CSRCs
  CHECK(open(to, lies).error == SrtpError::kRejected);
  CHECK(seal(from, lies).error == SrtpError::kRejected);
  lies[0] = 0x90;  // an extension of 65 535 words
  lies[14] = lies[15] = 0xFF;
  CHECK(open(to, lies).error == SrtpError::kRejected);
  CHECK(seal(from, lies).error == SrtpError::kRejected);
  lies.resize(14);
  CHECK(seal(from, lies).error == SrtpError::kRejected);
}
