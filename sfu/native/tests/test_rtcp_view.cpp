#include "rtcp_view.h"

#include <deque>
#include <utility>

#include "builders.h"
#include "check.h"

using namespace parley;
using test::Data;
using test::hex;

namespace {

// The only message of `data`, whose bytes are kept for the whole run.
RtcpMessage only(Data data) {
  static std::deque<Data> kept;
  RtcpReader reader(kept.emplace_back(std::move(data)));
  const auto message = reader.next();
  CHECK(message.has_value());
  CHECK(!reader.next().has_value());
  CHECK(!reader.malformed());
  return message.value_or(RtcpMessage{});
}

}  // namespace

TEST(compound_is_walked_to_its_end) {
  const Data data =
      hex("80c90001 00000005"                    // RR without blocks
          "81ca0003 00000005 01026162 00000000"  // SDES
          "81ce0002 00000001 00000002"           // PLI
          "80cf0001 00000005"                    // XR
          "80cc0001 00000005");                  // APP
  RtcpReader reader(data);
  std::vector<RtcpKind> kinds;
  while (const auto message = reader.next()) {
    kinds.push_back(message->kind);
  }
  CHECK(!reader.malformed());
  CHECK(kinds == (std::vector{RtcpKind::kReceiverReport, RtcpKind::kSdes, RtcpKind::kPli, RtcpKind::kExtendedReport,
                              RtcpKind::kOther}));
}

TEST(nothing_is_an_end_and_not_malformed) {
  RtcpReader reader({});
  CHECK(!reader.next().has_value());
  CHECK(!reader.malformed());
}

TEST(walk_stops_at_the_first_malformed_header) {
  for (const auto* second : {"40c90001 00000005",     // version
                             "80c90002 00000005",     // longer than what is there
                             "80c9",                  // no whole header
                             "a0c90001 00000000",     // padding of nothing
                             "a0c90001 00000008"}) {  // more than the body
    Data data = hex("80c90001 00000005");
    const Data more = hex(second);
    data.insert(data.end(), more.begin(), more.end());
    RtcpReader reader(data);
    CHECK(reader.next().has_value());
    CHECK(!reader.next().has_value());
    CHECK(reader.malformed());
    CHECK(!reader.next().has_value());
  }
}

// As browsers pad transport-wide feedback: by less than a word, and with more behind it.
TEST(padding_of_any_message_is_cut_off) {
  const Data data = hex("afcd0003 00000001 00000002 aabbcc01 80c90001 00000005");
  RtcpReader reader(data);
  const auto first = reader.next();
  CHECK(first.has_value());
  CHECK_EQ(first->body.size(), 11U);
  CHECK(reader.next().has_value());
  CHECK(!reader.malformed());
}

TEST(padding_of_the_last_message_is_cut_off) {
  const auto message = only(hex("a1ce0003 00000001 00000002 00000004"));
  CHECK_EQ(message.body.size(), 8U);
  CHECK_EQ(read_feedback_header(message)->media_ssrc, 2U);
}

TEST(sender_report_with_a_block) {
  const auto message =
      only(hex("81c8000c 00000005 1122334455667788 00015f90 00000064 00001388"
               "00000001 0afffffe 00011170 00000021 11112222 00010000"));
  const auto info = read_sender_info(message);
  CHECK(info.has_value());
  CHECK_EQ(info->ssrc, 5U);
  CHECK_EQ(info->ntp, 0x1122334455667788U);
  CHECK_EQ(info->rtp_timestamp, 90000U);
  CHECK_EQ(info->packet_count, 100U);
  CHECK_EQ(info->octet_count, 5000U);
  CHECK_EQ(report_block_count(message), 1U);
  const auto block = read_report_block(message, 0);
  CHECK_EQ(block->fraction_lost, 10);
  CHECK_EQ(block->cumulative_lost, -2);
  CHECK_EQ(block->highest_seq, 70000U);
  CHECK_EQ(block->last_sr, 0x11112222U);
  CHECK(!read_report_block(message, 1).has_value());
}

TEST(counts_are_bounded_by_the_bytes) {
  CHECK_EQ(report_block_count(only(hex("9fc90001 00000005"))), 0U);
  CHECK_EQ(report_block_count(only(hex("9fc80001 00000005"))), 0U);
  CHECK(!read_sender_info(only(hex("80c80001 00000005"))).has_value());
  CHECK_EQ(bye_count(only(hex("9fcb0001 00000005"))), 1U);
  CHECK_EQ(bye_count(only(hex("80cb0001 00000005"))), 0U);
  CHECK_EQ(nack_pair_count(only(hex("81cd0001 00000005"))), 0U);
  CHECK_EQ(fir_entry_count(only(hex("84ce0003 00000001 00000000 00000002"))), 0U);
}

TEST(nack_lists_pid_and_bits_over_the_wrap) {
  const auto message = only(hex("81cd0004 00000001 00000002 fffe8003 000a0000"));
  CHECK_EQ(message.kind, RtcpKind::kNack);
  std::vector<int> seqs;
  for_each_nacked(message, [&seqs](std::uint16_t seq) { seqs.push_back(seq); });
  CHECK(seqs == (std::vector{65534, 65535, 0, 14, 10}));
}

TEST(transport_feedback_is_no_nack) {
  const auto message = only(hex("8fcd0004 00000001 00000002 00010001 00000000"));
  CHECK_EQ(message.kind, RtcpKind::kTransportFeedback);
  int count = 0;
  for_each_nacked(message, [&count](std::uint16_t) { ++count; });
  CHECK_EQ(count, 0);
}

TEST(fir_entries) {
  const auto message = only(hex("84ce0006 00000001 00000000 00000002 07000000 00000003 08000000"));
  CHECK_EQ(fir_entry_count(message), 2U);
  CHECK_EQ(read_fir_entry(message, 1).ssrc, 3U);
  CHECK_EQ(read_fir_entry(message, 1).command_seq, 8);
  CHECK_EQ(read_fir_entry(message, 2).ssrc, 0U);
}

TEST(remb_with_its_ssrcs) {
  const auto message = only(hex("8fce0006 00000001 00000000 52454d42 020fffff 00000002 00000003"));
  CHECK_EQ(message.kind, RtcpKind::kRemb);
  const auto remb = read_remb(message);
  CHECK_EQ(remb->bitrate_bps, 0x3FFFFULL << 3);
  CHECK_EQ(remb->ssrc_count, 2);
}

TEST(remb_that_lies_is_refused) {
  CHECK(!read_remb(only(hex("8fce0005 00000001 00000000 52454d42 020fffff 00000002"))).has_value());  // too few SSRCs
  CHECK(!read_remb(only(hex("8fce0004 00000001 00000000 52454d42 00ffffff"))).has_value());           // beyond 64 bits
  CHECK_EQ(only(hex("8fce0004 00000001 00000000 41424344 00ffffff")).kind, RtcpKind::kOther);
}

TEST(cname_of_the_first_chunk) {
  CHECK_EQ(*read_cname(only(hex("81ca0004 00000005 020161 0103637e6e 00000000"))), "c~n");
  CHECK(!read_cname(only(hex("81ca0002 00000005 01ff6162"))).has_value());
  CHECK(!read_cname(only(hex("81ca0002 00000005 00000000"))).has_value());
  CHECK(!read_cname(only(hex("80ca0000"))).has_value());
}
