#include "codec_peek/opus.h"

#include "builders.h"
#include "check.h"

using namespace parley;
using test::hex;

TEST(every_opus_packet_is_a_frame) {
  const auto info = peek_opus(hex("fc"));
  CHECK(info.valid);
  CHECK(info.frame_start);
  CHECK(info.frame_end);
  CHECK(!peek_opus({}).valid);
}

TEST(red_blocks_stay_within_the_payload) {
  struct Row {
    const char* payload;
    bool valid;
  };
  for (const Row& row : {Row{"6f fc", true}, Row{"ef 003c02 6f aaaa fc", true}, Row{"ef 003c03 6f aaaa", false},
                         Row{"ef 003c02 6f aaaa", true}, Row{"ef 003c", false}, Row{"ef 003c02", false},
                         Row{"", false}, Row{"6f", true}}) {
    CHECK_EQ(peek_red(hex(row.payload)).valid, row.valid);
  }
}
