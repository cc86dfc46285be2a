#include "codec_peek/h264.h"

#include "builders.h"
#include "check.h"

using namespace parley;
using test::hex;

TEST(kinds_of_packets) {
  struct Row {
    const char* payload;
    bool valid;
    bool keyframe;
    bool sps;
  };
  for (const Row& row : {
           Row{"65 8884", true, true, false},                    // IDR slice
           Row{"67 42e01f", true, true, true},                   // SPS
           Row{"68 ce", true, false, false},                     // PPS
           Row{"41 9a", true, false, false},                     // slice
           Row{"78 0004 6742e01f 0002 68ce", true, true, true},  // STAP-A with SPS
           Row{"78 0002 0911 0002 419a", true, false, false},    // STAP-A without
           Row{"7c 85 aa", true, true, false},                   // FU-A, first of an IDR slice
           Row{"7c 05 aa", true, false, false},                  // FU-A, middle
           Row{"7c 45 aa", true, false, false},                  // FU-A, last
           Row{"5c 81 aa", true, false, false},                  // FU-A, first of a slice
           Row{"", false, false, false},
           Row{"00", false, false, false},
           Row{"7e aa", false, false, false},
           Row{"78", false, false, false},                  // STAP-A of nothing
           Row{"78 0000", false, false, false},             // a unit of nothing
           Row{"78 0004 6742", false, false, false},        // overruns
           Row{"78 0002 67aa 00", false, false, false},     // half a size
           Row{"7c", false, false, false},
           Row{"7c 85", false, false, false},
       }) {
    const auto info = peek_h264(hex(row.payload), false);
    CHECK_EQ(info.valid, row.valid);
    CHECK_EQ(info.keyframe_start, row.keyframe);
    CHECK_EQ(info.has_sps, row.sps);
  }
}

TEST(marker_ends_the_frame) {
  CHECK(peek_h264(hex("41 9a"), true).frame_end);
  CHECK(!peek_h264(hex("41 9a"), false).frame_end);
}
