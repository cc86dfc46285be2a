#include "crc32.h"

#include "check.h"

using namespace parley;

TEST(crc_of_known_texts) {
  CHECK_EQ(crc32({}), 0U);
  CHECK_EQ(crc32(as_bytes("123456789")), 0xCBF43926U);
  CHECK_EQ(crc32(as_bytes("a")), 0xE8B7BE43U);
}
