#include "transport_feedback.h"

#include "builders.h"
#include "check.h"

using namespace parley;
using test::Data;

namespace {

struct Fate {
  int seq;
  bool received;
  std::int64_t ticks;
  bool operator==(const Fate&) const = default;
};

std::optional<std::vector<Fate>> read(std::string_view text) {
  const Data body = test::hex(text);
  const RtcpMessage message{.kind = RtcpKind::kTransportFeedback, .type = kRtcpRtpfb, .count = 15, .body = body};
  auto reader = TransportFeedbackReader::open(message);
  if (!reader) {
    return std::nullopt;
  }
  std::vector<Fate> fates;
  while (const auto fate = reader->next()) {
    fates.push_back({fate->seq, fate->received, fate->arrival_ticks});
  }
  return fates;
}

}  // namespace

TEST(run_length_chunk_over_the_wrap) {
  const auto fates = read("00000001 00000002 fffe0003 00000105 2003 04 05 06");
  CHECK(fates == (std::vector<Fate>{{65534, true, 4}, {65535, true, 9}, {0, true, 15}}));
}

TEST(one_bit_vector) {
  const auto fates = read("00000001 00000002 00010004 00000105 a800 04 05");  // 1010 0...
  CHECK(fates == (std::vector<Fate>{{1, true, 4}, {2, false, 0}, {3, true, 9}, {4, false, 0}}));
}

TEST(two_bit_vector_with_negative_deltas) {
  // symbols: large, lost, small
  const auto fates = read("00000001 00000002 00010003 00000105 e100 fffe 03");
  CHECK((fates == std::vector<Fate>{{1, true, -2}, {2, false, 0}, {3, true, 1}}));
}

TEST(several_chunks) {
  const auto fates = read("00000001 00000002 00010010 00000105 0008 2008 01010101 01010101");
  CHECK(fates.has_value());
  CHECK_EQ(fates->size(), 16U);
  CHECK(fates->at(7) == (Fate{8, false, 0}));
  CHECK(fates->at(15) == (Fate{16, true, 8}));
}

TEST(malformed_feedback_is_refused) {
  CHECK(!read(""));
  CHECK(!read("00000001 00000002 00010001 000001"));                  // header cut
  CHECK(!read("00000001 00000002 00010001 00000105"));                // no chunk
  CHECK(!read("00000001 00000002 0001ffff 00000105 2007 01020304"));  // fewer statuses than promised
  CHECK(!read("00000001 00000002 00010001 00000105 0000 0000"));      // a run of nothing
  CHECK(!read("00000001 00000002 00010001 00000105 6001 0000"));      // reserved symbol in a run
  CHECK(!read("00000001 00000002 00010001 00000105 f000 0000"));      // reserved symbol in a vector
  CHECK(!read("00000001 00000002 00010002 00000105 2002 01"));        // a delta is missing
}

TEST(reserved_symbols_behind_the_last_status_do_not_matter) {
  const auto fates = read("00000001 00000002 00010001 00000105 dfff 01");
  CHECK((fates == std::vector<Fate>{{1, true, 1}}));
}

TEST(no_statuses_is_an_empty_feedback) {
  const auto fates = read("00000001 00000002 00010000 00000105");
  CHECK(fates.has_value());
  CHECK(fates->empty());
}
