// What leaves for a viewer that returns transport-wide feedback: numbered, paced, probed, and never past a closed gate.
#include "departures.h"

#include <algorithm>
#include <array>
#include <thread>

#include "check.h"
#include "loopback.h"
#include "rtcp_build.h"
#include "rtp_view.h"
#include "twcc_recorder.h"

using namespace parley;
using test::Data;
using test::House;
using test::Peer;

namespace {

constexpr std::uint32_t kPublisher = 1;
constexpr std::uint32_t kViewer = 2;
constexpr std::uint32_t kTrack = 10;
constexpr std::uint32_t kForward = 20;
constexpr std::uint32_t kSsrc = 0x900;
constexpr GatePosition kGate{5, 1};
constexpr std::uint8_t kTwccId = 3;

// A viewer with transport-wide numbers, watching one video behind a gate. What it wants may be known before it has
// answered with numbers.
struct Stage {
  explicit Stage(std::uint64_t wanted_bps = 0) {
    house.join(kPublisher, publisher);
    house.join(kViewer, viewer);
    house.publish_video(kTrack, kPublisher, 0x11);
    ids.set(Extension::kTwcc, kTwccId);
    if (wanted_bps != 0) {
      CHECK_EQ(house.run(SetWanted{kViewer, wanted_bps}), "");
    }
    house.run(SetExtensions{kViewer, ids, true});
    house.engine->gates().open(kGate.slot, kGate.version);
    CHECK_EQ(house.forward(kForward, kTrack, kViewer, kSsrc, kGate), "");
    publish(1, true);
    CHECK(test::until([&] { return collect() == 1; }));
  }

  void publish(int packets, bool is_keyframe = false) {
    for (int count = 0; count < packets; ++count) {
      Data packet = test::video_packet(seq++, 0x11, is_keyframe);
      packet.resize(1100, 0x77);
      publisher.send_rtp(house.address(), packet);
    }
  }

  // How much has come to the viewer; notes when each number came.
  std::size_t collect() {
    viewer.collect();
    for (; seen < viewer.rtp.size(); ++seen) {
      const auto view = parse_rtp(viewer.rtp[seen]);
      const ExtensionTable table = read_extensions(*view, ids);
      const bool is_repair = view->ssrc != kSsrc && view->payload_size > 0;
      repairs += is_repair ? 1 : 0;
      if (is_repair && repairs == lost_repair) {
        continue;
      }
      if (const auto number = read_twcc_seq(*view, table)) {
        recorder.receive(*number, test::monotonic());
        numbers.push_back(*number);
      }
      (view->ssrc == kSsrc ? media : padding) += 1;
    }
    return media;
  }

  void report() {
    std::array<std::uint8_t, 1200> buffer{};
    Writer writer(buffer);
    if (recorder.build(writer, 7, kSsrc, test::monotonic())) {
      viewer.send_rtcp(house.address(),
                       Data(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(writer.size())));
    }
  }
  // Until the core has had feedback: from then on it paces.
  void report_until_told() {
    CHECK(test::until([&] {
      publish(1);
      collect();
      report();
      return house.count<BandwidthEvent>() > 0;
    }));
  }

  Peer publisher;
  Peer viewer;
  ExtensionIds ids;
  House house;
  TwccRecorder recorder{TwccConfig{.interval = 0}};
  std::vector<std::uint16_t> numbers;
  std::uint16_t seq = 1;
  std::size_t seen = 0;
  std::size_t media = 0;
  std::size_t padding = 0;
  std::size_t repairs = 0;
  std::size_t lost_repair = 0;  // which one gets lost; 0: none
};

}  // namespace

TEST(numbers_follow_each_other_over_media_and_padding) {
  Stage stage;
  stage.house.run(SetWanted{kViewer, 5'000'000});
  stage.report_until_told();
  CHECK(test::until([&] {
    stage.publish(1);
    stage.collect();
    stage.report();
    return stage.padding >= 5;
  }));
  for (std::size_t at = 1; at < stage.numbers.size(); ++at) {
    CHECK_EQ(stage.numbers[at], static_cast<std::uint16_t>(stage.numbers[at - 1] + 1));
  }
  CHECK(stage.house.counter("padding_sent") >= 5);
}

TEST(a_path_is_probed_for_what_was_wanted_before_the_answer_came) {
  Stage stage(5'000'000);
  stage.report_until_told();
  CHECK(test::until([&] {
    stage.publish(1);
    stage.collect();
    stage.report();
    return stage.padding >= 5;
  }));
}

TEST(a_repair_that_gets_lost_is_repeated_though_nobody_asks_again) {
  Stage stage;
  stage.report_until_told();
  stage.publish(5);
  CHECK(test::until([&] { return stage.collect() >= stage.seq - 1U; }));
  stage.lost_repair = 1;
  std::array<std::uint8_t, 64> buffer{};
  Writer writer(buffer);
  const auto newest = std::ranges::find(stage.viewer.rtp.rbegin(), stage.viewer.rtp.rend(), kSsrc,
                                        [](const Data& packet) { return load_u32(packet, 8); });
  const std::array<std::uint16_t, 1> missing{load_u16(*newest, 2)};
  CHECK(append_nack(writer, 7, kSsrc, missing));
  const auto size = static_cast<std::ptrdiff_t>(writer.size());
  stage.viewer.send_rtcp(stage.house.address(), Data(buffer.begin(), buffer.begin() + size));
  CHECK(test::until([&] {
    stage.publish(1);  // what comes behind shows that something is missing
    stage.collect();
    stage.report();
    return stage.repairs >= 2;
  }));
  for (int report = 0; report < 20; ++report) {
    stage.publish(1);
    stage.collect();
    stage.report();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  CHECK_EQ(stage.house.counter("rtx_repeated"), 1);
  CHECK_EQ(stage.house.counter("rtx_sent"), 2);
}

TEST(a_burst_waits_its_turn_and_arrives_whole) {
  Stage stage;
  stage.report_until_told();
  const std::size_t before = stage.collect();
  stage.publish(100);
  CHECK(test::until([&] { return stage.collect() == before + 100; }));
  CHECK(stage.house.counter("rtp_paced") > 50);
  CHECK_EQ(stage.house.counter("drop_pacer_full"), 0);
  CHECK_EQ(stage.viewer.unreadable, 0U);
}

TEST(what_waits_does_not_leave_past_a_closed_gate) {
  Stage stage;
  stage.report_until_told();
  stage.publish(200);
  CHECK(test::until([&] { return stage.house.counter("rtp_paced") > 100; }));
  stage.house.engine->gates().close(kGate.slot, kGate.version);
  stage.house.run(Fence{0});
  stage.collect();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // what the kernel held
  const std::size_t at_fence = stage.collect();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  CHECK_EQ(stage.collect(), at_fence);
  // A new grant lets nothing of the old one through either.
  stage.house.engine->gates().open(kGate.slot, kGate.version + 1);
  stage.house.run(SetForwardGate{kForward, {kGate.slot, kGate.version + 1}});
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK_EQ(stage.collect(), at_fence);
  CHECK(stage.house.counter("drop_gate_closed") > 0);
}

TEST(a_viewer_that_goes_takes_what_waits_along) {
  Stage stage;
  stage.report_until_told();
  stage.publish(200);
  CHECK(test::until([&] { return stage.house.counter("rtp_paced") > 100; }));
  CHECK_EQ(stage.house.run(RemoveTransport{kViewer}), "");
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK_EQ(stage.house.run(Fence{0}), "");
}

TEST(without_feedback_nothing_waits) {
  Stage stage;
  stage.publish(300);
  CHECK(test::until([&] { return stage.collect() == 301; }));
  CHECK_EQ(stage.house.counter("rtp_paced"), 0);
  CHECK_EQ(stage.house.count<BandwidthEvent>(), 0U);
}

TEST(layers_are_told_with_their_rates_and_heights) {
  Stage stage;
  const auto told = [&]() -> const LayersEvent* {
    for (const ControlEvent& event : stage.house.control) {
      if (const auto* layers = std::get_if<LayersEvent>(&event)) {
        return layers;
      }
    }
    return nullptr;
  };
  CHECK(test::until([&] {
    stage.publish(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    stage.house.poll();
    return told() != nullptr;
  }));
  const LayersEvent* event = told();
  CHECK_EQ(event->track, kTrack);
  CHECK_EQ(event->layers.size(), 1U);
  CHECK(event->layers.at(0).bps > 100'000);
}
