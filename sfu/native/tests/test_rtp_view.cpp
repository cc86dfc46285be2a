#include "rtp_view.h"

#include "builders.h"
#include "check.h"

using namespace parley;
using test::Data;
using test::hex;
using test::rtp;

namespace {

ExtensionIds some_ids() {
  ExtensionIds ids;
  ids.set(Extension::kMid, 1);
  ids.set(Extension::kAudioLevel, 2);
  ids.set(Extension::kTwcc, 3);
  ids.set(Extension::kDependencyDescriptor, 20);
  return ids;
}

}  // namespace

TEST(header_fields_are_read) {
  const auto data = rtp({.pt = 111, .marker = true, .seq = 65535, .timestamp = 0xFFFFFFFF, .ssrc = 0xCAFE, .csrcs = 2});
  const auto view = parse_rtp(data);
  CHECK(view.has_value());
  CHECK_EQ(view->pt, 111);
  CHECK(view->marker);
  CHECK_EQ(view->seq, 65535);
  CHECK_EQ(view->timestamp, 0xFFFFFFFFU);
  CHECK_EQ(view->ssrc, 0xCAFEU);
  CHECK_EQ(view->csrc_count, 2);
  CHECK_EQ(view->payload_offset, 20);
  CHECK(std::ranges::equal(view->payload(), hex("aabbcc")));
}

TEST(short_packets_and_other_versions_are_refused) {
  CHECK(!parse_rtp({}));
  const auto data = rtp({.payload = {}});
  for (std::size_t size = 0; size < data.size(); ++size) {
    CHECK(!parse_rtp(Bytes(data).first(size)));
  }
  CHECK(parse_rtp(data).has_value());
  Data other = rtp();
  other[0] = 0x40;
  CHECK(!parse_rtp(other));
}

TEST(csrcs_that_overrun_are_refused) {
  Data data = rtp({.payload = {}});
  data[0] |= 1;
  CHECK(!parse_rtp(data));
}

TEST(extension_that_overruns_is_refused) {
  Data data = rtp({.extensions = {{1, {'0'}}}, .payload = {}});
  CHECK(parse_rtp(data).has_value());
  data[15] = 2;
  CHECK(!parse_rtp(data));
  data.resize(14);
  CHECK(!parse_rtp(data));
}

TEST(padding_is_more_than_zero_and_at_most_the_payload) {
  struct Row {
    std::uint8_t count;
    bool valid;
    int payload;
  };
  for (const Row& row : {Row{0, false, 0}, Row{1, true, 3}, Row{4, true, 0}, Row{5, false, 0}, Row{255, false, 0}}) {
    Data data = rtp({.payload = {1, 2, 3, row.count}});
    data[0] |= 0x20;
    const auto view = parse_rtp(data);
    CHECK_EQ(view.has_value(), row.valid);
    if (view) {
      CHECK_EQ(view->payload_size, row.payload);
      CHECK_EQ(view->padding_size, row.count);
    }
  }
  Data nothing = rtp({.payload = {}});
  nothing[0] |= 0x20;
  CHECK(!parse_rtp(nothing));
}

TEST(extensions_are_found_in_both_forms) {
  for (const bool two_byte : {false, true}) {
    const auto data =
        rtp({.extensions = {{9, {7, 7}}, {1, {'4', '2'}}, {2, {0x85}}, {3, {0x12, 0x34}}}, .two_byte = two_byte});
    const auto view = parse_rtp(data);
    const auto table = read_extensions(*view, some_ids());
    CHECK_EQ(as_text(table.get(*view, Extension::kMid)), "42");
    CHECK_EQ(*read_twcc_seq(*view, table), 0x1234);
    CHECK_EQ(read_audio_level(*view, table)->dbov, 5);
    CHECK(read_audio_level(*view, table)->voice);
    CHECK(!table.has(Extension::kRid));
    CHECK(table.get(*view, Extension::kRid).empty());
    CHECK(std::ranges::equal(*find_extension(*view, 9), hex("0707")));
    CHECK(!find_extension(*view, 8).has_value());
  }
}

TEST(long_elements_and_high_ids_come_in_the_two_byte_form) {
  const Data descriptor(200, 0xDD);
  const auto data = rtp({.extensions = {{20, descriptor}}, .two_byte = true});
  const auto view = parse_rtp(data);
  CHECK(
      std::ranges::equal(read_extensions(*view, some_ids()).get(*view, Extension::kDependencyDescriptor), descriptor));
}

TEST(walk_stops_where_the_block_is_malformed) {
  struct Row {
    std::string_view block;  // whole words
    bool has_mid;
    bool has_twcc;
  };
  for (const Row& row : {
           Row{"bede0002 1030 0000 311234 00", true, true},    // padding between elements
           Row{"bede0002 1030 f000 311234 00", true, false},   // id 15 ends the block
           Row{"bede0002 1030 0500 311234 00", true, false},   // id 0 with a length ends it too
           Row{"bede0001 1030 3f00", true, false},             // overruns the block
           Row{"10000002 0101 30 0302 1234 00", true, true},   // two-byte form
           Row{"10000001 0101 30 03", true, false},            // id without its length
           Row{"10000002 0101 30 03ff 1234 00", true, false},  // overruns
           Row{"abcd0001 10303112", false, false},             // another profile: opaque
       }) {
    Data data = rtp({.payload = {}});
    data[0] |= 0x10;
    for (const auto byte : hex(row.block)) {
      data.push_back(byte);
    }
    const auto view = parse_rtp(data);
    CHECK(view.has_value());
    const auto table = read_extensions(*view, some_ids());
    CHECK_EQ(table.has(Extension::kMid), row.has_mid);
    CHECK_EQ(table.has(Extension::kTwcc), row.has_twcc);
  }
}

TEST(first_of_two_elements_with_one_id_counts) {
  const auto data = rtp({.extensions = {{1, {'a'}}, {1, {'b'}}}});
  const auto view = parse_rtp(data);
  CHECK_EQ(as_text(read_extensions(*view, some_ids()).get(*view, Extension::kMid)), "a");
}

TEST(empty_extension_values_are_nothing_to_read) {
  const auto data = rtp({.extensions = {{2, {}}, {3, {1}}}, .two_byte = true});
  const auto view = parse_rtp(data);
  const auto table = read_extensions(*view, some_ids());
  CHECK(table.has(Extension::kAudioLevel));
  CHECK(!read_audio_level(*view, table).has_value());
  CHECK(!read_twcc_seq(*view, table).has_value());
}
