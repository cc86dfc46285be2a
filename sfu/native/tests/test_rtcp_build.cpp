#include "rtcp_build.h"

#include <array>

#include "builders.h"
#include "check.h"

using namespace parley;

namespace {

struct Out {
  std::array<std::uint8_t, 1500> bytes{};
  Writer writer{bytes};

  RtcpMessage message() {
    RtcpReader reader(writer.written());
    const auto first = reader.next();
    CHECK(first.has_value());
    CHECK(!reader.next().has_value());
    CHECK(!reader.malformed());
    return first.value_or(RtcpMessage{});
  }
};

std::vector<int> nacked(Out& out) {
  std::vector<int> seqs;
  for_each_nacked(out.message(), [&seqs](std::uint16_t seq) { seqs.push_back(seq); });
  return seqs;
}

}  // namespace

TEST(receiver_report_round_trip) {
  const std::array blocks{ReportBlock{.ssrc = 1,
                                      .fraction_lost = 255,
                                      .cumulative_lost = -1,
                                      .highest_seq = 0x1FFFF,
                                      .jitter = 3,
                                      .last_sr = 4,
                                      .delay_since_sr = 5},
                          ReportBlock{.ssrc = 2, .cumulative_lost = 0x7FFFFF}};
  Out out;
  CHECK(append_receiver_report(out.writer, 9, blocks));
  const auto message = out.message();
  CHECK_EQ(report_block_count(message), 2U);
  CHECK_EQ(read_report_block(message, 0)->cumulative_lost, -1);
  CHECK_EQ(read_report_block(message, 0)->highest_seq, 0x1FFFFU);
  CHECK_EQ(read_report_block(message, 1)->cumulative_lost, 0x7FFFFF);
}

TEST(sender_report_round_trip) {
  Out out;
  CHECK(append_sender_report(
      out.writer, {.ssrc = 1, .ntp = 0x1234567890ABCDEF, .rtp_timestamp = 2, .packet_count = 3, .octet_count = 4}, {}));
  const auto info = read_sender_info(out.message());
  CHECK_EQ(info->ntp, 0x1234567890ABCDEFULL);
  CHECK_EQ(info->octet_count, 4U);
}

TEST(sdes_ends_its_chunk_on_a_word_for_every_length) {
  for (std::size_t size = 1; size <= 9; ++size) {
    Out out;
    CHECK(append_sdes_cname(out.writer, 1, std::string_view("abcdefghi").substr(0, size)));
    CHECK_EQ(out.writer.size() % 4, 0U);
    CHECK_EQ(read_cname(out.message())->size(), size);
    CHECK_EQ(out.writer.written().back(), 0);
  }
  Out out;
  CHECK(!append_sdes_cname(out.writer, 1, ""));
}

TEST(nack_packs_neighbours_into_pairs) {
  struct Row {
    std::vector<std::uint16_t> seqs;
    std::size_t pairs;
  };
  for (const Row& row :
       {Row{{7}, 1}, Row{{7, 8, 23}, 1}, Row{{7, 24}, 2}, Row{{65535, 0, 15}, 1}, Row{{1, 2, 100, 101, 300}, 3}}) {
    Out out;
    CHECK(append_nack(out.writer, 1, 2, row.seqs));
    CHECK_EQ(nack_pair_count(out.message()), row.pairs);
    CHECK(std::ranges::equal(nacked(out), row.seqs));
  }
  Out out;
  CHECK(!append_nack(out.writer, 1, 2, {}));
  CHECK_EQ(out.writer.size(), 0U);
}

TEST(feedback_round_trips) {
  Out pli;
  CHECK(append_pli(pli.writer, 1, 2));
  CHECK_EQ(pli.message().kind, RtcpKind::kPli);
  CHECK_EQ(read_feedback_header(pli.message())->media_ssrc, 2U);
  Out fir;
  CHECK(append_fir(fir.writer, 1, 2, 250));
  CHECK_EQ(read_fir_entry(fir.message(), 0).ssrc, 2U);
  CHECK_EQ(read_fir_entry(fir.message(), 0).command_seq, 250);
  Out bye;
  CHECK(append_bye(bye.writer, 77));
  CHECK_EQ(read_bye_ssrc(bye.message(), 0), 77U);
}

TEST(remb_keeps_eighteen_bits) {
  for (const std::uint64_t bps : {0ULL, 1ULL, 262143ULL, 262144ULL, 5'000'000ULL, 0x3FFFFULL << 46}) {
    Out out;
    const std::array<std::uint32_t, 2> ssrcs{5, 6};
    CHECK(append_remb(out.writer, 1, bps, ssrcs));
    const auto remb = read_remb(out.message());
    CHECK(remb.has_value());
    CHECK(remb->bitrate_bps <= bps && bps - remb->bitrate_bps <= bps >> 17);
    CHECK_EQ(remb->ssrc_count, 2);
  }
}

TEST(message_without_room_leaves_no_trace) {
  std::array<std::uint8_t, 20> bytes{};
  Writer writer(bytes);
  CHECK(append_pli(writer, 1, 2));
  CHECK(!append_pli(writer, 1, 2));
  CHECK_EQ(writer.size(), 12U);
  CHECK(append_bye(writer, 1));
  CHECK_EQ(writer.size(), 20U);
}

TEST(more_than_31_blocks_are_refused) {
  const std::array<ReportBlock, 32> blocks{};
  Out out;
  CHECK(!append_receiver_report(out.writer, 1, blocks));
  CHECK(append_receiver_report(out.writer, 1, std::span(blocks).first(31)));
}
