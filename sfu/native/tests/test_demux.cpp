#include "demux.h"

#include "builders.h"
#include "check.h"

using namespace parley;

namespace {

DatagramKind kind_of(std::uint8_t first, std::uint8_t second, std::size_t size) {
  test::Data data(size, 0);
  if (size > 0) {
    data[0] = first;
  }
  if (size > 1) {
    data[1] = second;
  }
  return classify(data);
}

}  // namespace

TEST(empty_datagram_is_rejected) { CHECK_EQ(classify({}), DatagramKind::kReject); }

TEST(first_byte_decides) {
  struct Row {
    std::uint8_t first;
    DatagramKind kind;
  };
  for (const Row& row :
       {Row{0, DatagramKind::kStun}, Row{3, DatagramKind::kStun}, Row{4, DatagramKind::kReject},
        Row{19, DatagramKind::kReject}, Row{20, DatagramKind::kDtls}, Row{63, DatagramKind::kDtls},
        Row{64, DatagramKind::kTurnChannel}, Row{79, DatagramKind::kTurnChannel}, Row{80, DatagramKind::kReject},
        Row{127, DatagramKind::kReject}, Row{128, DatagramKind::kRtp}, Row{191, DatagramKind::kRtp},
        Row{192, DatagramKind::kReject}, Row{255, DatagramKind::kReject}}) {
    CHECK_EQ(kind_of(row.first, 0, 100), row.kind);
  }
}

TEST(second_byte_tells_rtp_from_rtcp) {
  CHECK_EQ(kind_of(0x80, 191, 100), DatagramKind::kRtp);
  CHECK_EQ(kind_of(0x80, 192, 100), DatagramKind::kRtcp);
  CHECK_EQ(kind_of(0x80, 200, 8), DatagramKind::kRtcp);
  CHECK_EQ(kind_of(0x80, 223, 100), DatagramKind::kRtcp);
  CHECK_EQ(kind_of(0x80, 224, 100), DatagramKind::kRtp);
}

TEST(too_short_for_its_protocol_is_rejected) {
  for (std::size_t size = 1; size <= 64; ++size) {
    CHECK_EQ(kind_of(0, 1, size), size < 20 ? DatagramKind::kReject : DatagramKind::kStun);
    CHECK_EQ(kind_of(22, 0, size), size < 13 ? DatagramKind::kReject : DatagramKind::kDtls);
    CHECK_EQ(kind_of(0x80, 96, size), size < 12 ? DatagramKind::kReject : DatagramKind::kRtp);
    CHECK_EQ(kind_of(0x80, 200, size), size < 8 ? DatagramKind::kReject : DatagramKind::kRtcp);
  }
}
