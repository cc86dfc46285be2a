// Sender reports to a subscriber, through layer switches: sound and picture of one instant stay at one instant.
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <vector>

#include "check.h"
#include "rtcp_build.h"
#include "worker_bench.h"

using namespace parley;
using test::Bench;
using test::Data;

namespace {

constexpr std::uint32_t kAudio = 0x11;
constexpr std::uint32_t kAudioAnew = 0x12;
constexpr std::uint32_t kLow = 0x22;
constexpr std::uint32_t kHigh = 0x32;
constexpr std::uint32_t kAudioOut = 0x900;
constexpr std::uint32_t kVideoOut = 0xA00;
// Each source's clock begins somewhere of its own; the high encoding's wraps on the way.
const std::map<std::uint32_t, std::uint32_t> kStart{
    {kAudio, 5000}, {kAudioAnew, 0x80000000}, {kLow, 70'000}, {kHigh, 0xFFFFF000}};

struct Room : Bench {
  test::Peer publisher;
  test::Peer viewer;
  TimeNs start = now;
  std::uint32_t mic = kAudio;
  std::uint16_t seq = 1;
  std::map<std::uint32_t, SenderInfo> reports;  // the viewer's latest, by ssrc
  std::vector<double> apart_ms;                 // of what is played together

  Room() {
    join(1, publisher);
    join(2, viewer);
    ExtensionIds ids;
    ids.set(Extension::kMid, 1);
    CHECK_EQ(run(SetExtensions{1, ids, false}), "");
    audio(10, 1, kAudio);
    CHECK_EQ(run(AddTrack{11, 1, true, "v", {test::kVp8}, {{"", kLow, 0}, {"", kHigh, 0}}, true, false}), "");
    CHECK_EQ(forward(20, 10, 2, {}, kAudioOut), "");
    CHECK_EQ(forward(21, 11, 2, {}, kVideoOut), "");
  }

  [[nodiscard]] std::uint32_t clock(std::uint32_t ssrc, std::uint32_t hz) const {
    return kStart.at(ssrc) + to_ticks(now - start, hz);
  }
  void report(std::uint32_t ssrc, std::uint32_t hz) {
    Data data(200);
    Writer writer(data);
    // The publisher's own clock, days away from ours.
    const SenderInfo info{.ssrc = ssrc,
                          .ntp = to_ntp(now) + (1000ULL << 32),
                          .rtp_timestamp = clock(ssrc, hz),
                          .packet_count = 1,
                          .octet_count = 1};
    append_sender_report(writer, info, {});
    data.resize(writer.size());
    receive_rtcp(publisher, data);
  }
  void frame(std::uint32_t ssrc, bool is_key) {
    Data payload = test::vp8({.keyframe = is_key, .start = true, .picture_id = seq});
    payload.resize(100, 1);
    receive_rtp(publisher, test::rtp({.pt = 96,
                                      .marker = true,
                                      .seq = seq,
                                      .timestamp = clock(ssrc, 90'000),
                                      .ssrc = ssrc,
                                      .payload = payload}));
  }

  // 40 ms: one frame of each encoding and a packet of sound, all of the same instant.
  void play(bool is_key) {
    frame(kLow, is_key);
    frame(kHigh, is_key);
    receive_rtp(publisher, test::rtp({.pt = 111,
                                      .seq = seq,
                                      .timestamp = clock(mic, 48'000),
                                      .ssrc = mic,
                                      .extensions = {{1, {'a'}}},
                                      .payload = Data(30, 1)}));
    if (seq % 25 == 1) {
      report(mic, 48'000);
      report(kLow, 90'000);
      report(kHigh, 90'000);
    }
    ++seq;
    tick(40 * kMillisecond);
    viewer.collect();
    for (const Data& compound : viewer.rtcp) {
      RtcpReader reader(compound);
      while (const auto message = reader.next()) {
        if (const auto info = read_sender_info(*message)) {
          reports[info->ssrc] = *info;
        }
      }
    }
    viewer.rtcp.clear();
    const auto sound = shown(kAudioOut, 48'000);
    const auto picture = shown(kVideoOut, 90'000);
    if (sound && picture) {
      apart_ms.push_back((*sound - *picture) * 1000);
    }
    viewer.rtp.clear();
  }

  // When, on the publisher's clock, the packet that came now is to be played, seconds.
  [[nodiscard]] std::optional<double> shown(std::uint32_t ssrc, std::uint32_t hz) const {
    const auto told = reports.find(ssrc);
    for (const Data& packet : viewer.rtp) {
      if (load_u32(packet, 8) == ssrc && told != reports.end()) {
        const auto ticks = static_cast<std::int32_t>(load_u32(packet, 4) - told->second.rtp_timestamp);
        return std::ldexp(static_cast<double>(told->second.ntp - (1000ULL << 32)), -32) +
               static_cast<double>(ticks) / hz;
      }
    }
    return std::nullopt;
  }
};

}  // namespace

TEST(sound_and_picture_stay_together_through_switches) {
  Room room;
  for (int turn = 0; turn < 8; ++turn) {
    CHECK_EQ(room.run(SetForward{21, false, turn % 2, -1}), "");
    for (int i = 0; i < 60; ++i) {
      room.play(i == 5);
    }
  }
  CHECK(room.apart_ms.size() > 400);
  for (const double apart : room.apart_ms) {
    CHECK(std::abs(apart) < 2);
  }
}

TEST(a_source_that_begins_anew_is_not_told_the_time_of_the_old_one) {
  Room room;
  for (int i = 0; i < 60; ++i) {
    if (i == 40) {
      room.mic = kAudioAnew;
    }
    room.play(i == 0);
  }
  CHECK(room.apart_ms.size() > 50);
  for (const double apart : room.apart_ms) {
    CHECK(std::abs(apart) < 2);
  }
}
