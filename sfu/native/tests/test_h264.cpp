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
           Row{"78", false, false, false},               // STAP-A of nothing
           Row{"78 0000", false, false, false},          // a unit of nothing
           Row{"78 0004 6742", false, false, false},     // overruns
           Row{"78 0002 67aa 00", false, false, false},  // half a size
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

TEST(a_parameter_set_tells_the_height) {
  struct Row {
    const char* unit;  // what x264 wrote for such a picture
    int height;
  };
  for (const Row& row : {
           Row{"6742c01ed900a02ff9610000030001000003003c8f162e48", 360},
           Row{"6764001facb200a00b7420000003002000000791e30649", 720},
           Row{"6764000dacb202833f3c20000003002000000791e28549", 180},
           Row{"674d4028d900780227e584000003000400000300f23c60c920", 1080},
           Row{"67f4000a91964189f8b840000003004000000f23c48992", 54},  // 4:4:4
       }) {
    const auto unit = hex(row.unit);
    CHECK_EQ(peek_h264(unit, false).height, row.height);
    for (std::size_t size = 1; size < unit.size(); ++size) {
      const int height = peek_h264(Bytes(unit).first(size), false).height;
      CHECK(height == 0 || height == row.height);
    }
  }
  const auto aggregated = hex("78 0018 6742c01ed900a02ff9610000030001000003003c8f162e48 0002 68ce");
  CHECK_EQ(peek_h264(aggregated, false).height, 360);
  const auto fragment = hex("7c 87 64001facb200a00b7420000003002000000791e30649");
  CHECK_EQ(peek_h264(fragment, false).height, 720);
  CHECK_EQ(peek_h264(hex("65 8884"), false).height, 0);
}
