#include "stun_probe.h"

#include "builders.h"
#include "check.h"
#include "crc32.h"

using namespace parley;
using test::Data;

namespace {

constexpr std::uint16_t kUsername = 6;
constexpr std::uint16_t kIntegrity = 8;

void attribute(Data& out, std::uint16_t type, const Data& value) {
  test::put_u16(out, type);
  test::put_u16(out, static_cast<std::uint32_t>(value.size()));
  out.insert(out.end(), value.begin(), value.end());
  while (out.size() % 4 != 0) {
    out.push_back(0);
  }
}

Data text(std::string_view value) { return {value.begin(), value.end()}; }

Data message(std::uint16_t type, const Data& attributes, bool fingerprint = true) {
  Data out;
  test::put_u16(out, type);
  test::put_u16(out, static_cast<std::uint32_t>(attributes.size()) + (fingerprint ? 8 : 0));
  test::put_u32(out, 0x2112A442);
  for (std::uint8_t i = 0; i < 12; ++i) {
    out.push_back(i);
  }
  out.insert(out.end(), attributes.begin(), attributes.end());
  if (fingerprint) {
    const std::uint32_t crc = crc32(out) ^ kStunFingerprintXor;
    test::put_u32(out, 0x80280004);
    test::put_u32(out, crc);
  }
  return out;
}

Data check_attributes(std::string_view username = "abcdefgh:wxyz") {
  Data attributes;
  attribute(attributes, kUsername, text(username));
  attribute(attributes, kIntegrity, Data(20, 1));
  return attributes;
}

}  // namespace

TEST(check_of_a_browser_passes) {
  const auto data = message(0x0001, check_attributes());
  const auto probe = probe_stun(data);
  CHECK(probe.has_value());
  CHECK(probe->is_request());
  CHECK_EQ(probe->method, kStunBinding);
  CHECK_EQ(probe->ufrag, "abcdefgh");
  CHECK(probe->has_integrity);
  CHECK_EQ(probe->transaction_id.size(), 12U);
  CHECK_EQ(probe->transaction_id[11], 11);
}

TEST(class_and_method_are_taken_apart) {
  struct Row {
    std::uint16_t type;
    StunClass message_class;
    std::uint16_t method;
  };
  for (const Row& row : {Row{0x0001, StunClass::kRequest, 1}, Row{0x0011, StunClass::kIndication, 1},
                         Row{0x0101, StunClass::kSuccess, 1}, Row{0x0111, StunClass::kError, 1},
                         Row{0x0003, StunClass::kRequest, 3}, Row{0x3EEF, StunClass::kRequest, 0xFFF}}) {
    const auto data = message(row.type, {});
    const auto probe = probe_stun(data);
    CHECK(probe.has_value());
    CHECK_EQ(probe->message_class, row.message_class);
    CHECK_EQ(probe->method, row.method);
  }
}

TEST(username_without_a_colon_names_nobody) {
  for (const std::string_view username : {"", "abcdefgh", ":wxyz"}) {
    const auto data = message(0x0001, check_attributes(username));
    const auto probe = probe_stun(data);
    CHECK(probe.has_value());
    CHECK(probe->ufrag.empty());
  }
}

TEST(username_longer_than_the_standard_allows_is_refused) {
  Data attributes;
  attribute(attributes, kUsername, Data(514, 'a'));
  CHECK(!probe_stun(message(0x0001, attributes)));
}

TEST(every_truncation_is_refused) {
  const auto data = message(0x0001, check_attributes());
  for (std::size_t size = 0; size < data.size(); ++size) {
    CHECK(!probe_stun(Bytes(data).first(size)));
  }
}

TEST(every_flipped_bit_is_refused) {
  const auto data = message(0x0001, check_attributes());
  for (std::size_t bit = 0; bit < data.size() * 8; ++bit) {
    Data flipped = data;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    CHECK(!probe_stun(flipped));
  }
}

TEST(no_fingerprint_is_refused) { CHECK(!probe_stun(message(0x0001, check_attributes(), false))); }

TEST(nothing_may_follow_the_fingerprint) {
  Data data = message(0x0001, check_attributes());
  data[3] = static_cast<std::uint8_t>(data[3] + 4);
  test::put_u32(data, 0);
  CHECK(!probe_stun(data));
}

TEST(fingerprint_of_a_wrong_size_is_refused) {
  for (const int size : {0, 1, 3}) {
    Data data = message(0x0001, {});
    data[23] = static_cast<std::uint8_t>(size);
    CHECK(!probe_stun(data));
  }
}

TEST(attribute_that_overruns_is_refused) {
  Data attributes;
  attribute(attributes, kUsername, text("ab:c"));
  attributes[3] = 200;
  CHECK(!probe_stun(message(0x0001, attributes)));
}

TEST(number_of_attributes_is_bounded) {
  Data attributes;
  for (int i = 0; i < 31; ++i) {
    attribute(attributes, 0x8022, {});
  }
  CHECK(probe_stun(message(0x0001, attributes)).has_value());
  attribute(attributes, 0x8022, {});
  CHECK(!probe_stun(message(0x0001, attributes)));
}
