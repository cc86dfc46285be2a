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
