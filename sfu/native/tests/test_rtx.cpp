#include "rtx.h"

#include "builders.h"
#include "check.h"

using namespace parley;
using test::Data;
using test::hex;
using test::rtp;

TEST(original_packet_is_restored_in_place) {
  Data data = rtp({.pt = 97,
                   .marker = true,
                   .seq = 5,
                   .timestamp = 42,
                   .ssrc = 2,
                   .csrcs = 1,
                   .extensions = {{1, {'0'}}},
                   .payload = {0xFF, 0xFE, 1, 2, 3}});
  const auto view = parse_rtp(data);
  const auto original = decapsulate_rtx(data, *view, 96, 1);
  CHECK(original.has_value());
  const Data expected = rtp({.pt = 96,
                             .marker = true,
                             .seq = 0xFFFE,
                             .timestamp = 42,
                             .ssrc = 1,
                             .csrcs = 1,
                             .extensions = {{1, {'0'}}},
                             .payload = {1, 2, 3}});
  CHECK(std::ranges::equal(*original, expected));
}

TEST(probe_padding_is_no_packet) {
  for (const Data& payload : {Data{}, Data{1}}) {
    Data data = rtp({.payload = payload, .padding = 20});
    const auto view = parse_rtp(data);
    CHECK(!decapsulate_rtx(data, *view, 96, 1).has_value());
  }
}

TEST(number_alone_gives_an_empty_packet) {
  Data data = rtp({.payload = {0, 7}, .padding = 4});
  const auto view = parse_rtp(data);
  const auto original = decapsulate_rtx(data, *view, 96, 1);
  const auto restored = parse_rtp(*original);
  CHECK_EQ(restored->seq, 7);
  CHECK_EQ(restored->payload_size, 0);
  CHECK_EQ(restored->padding_size, 4);
}

TEST(view_of_other_bytes_is_refused) {
  Data data = rtp();
  const Data other = data;
  CHECK(!decapsulate_rtx(data, *parse_rtp(other), 96, 1).has_value());
}
