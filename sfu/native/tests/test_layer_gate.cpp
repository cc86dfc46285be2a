#include "layer_gate.h"

#include <vector>

#include "check.h"

using namespace parley;

namespace {

struct Frame {
  int encoding = 0;
  bool keyframe = false;
  int spatial = 0;
  int temporal = 0;
  bool start = true;
  bool end = true;
  bool switch_up = false;
  bool temporal_sync = false;
  bool spatial_sync = false;
  bool valid = true;
};

Packet packet(const Frame& f) {
  Packet result;
  result.encoding = static_cast<std::uint8_t>(f.encoding);
  result.rtp.payload_size = 10;
  result.payload.valid = f.valid;
  result.payload.keyframe_start = f.keyframe;
  result.payload.frame_start = f.start;
  result.payload.frame_end = f.end;
  result.payload.spatial = static_cast<std::uint8_t>(f.spatial);
  result.payload.temporal = static_cast<std::uint8_t>(f.temporal);
  result.payload.switch_up = f.switch_up;
  result.payload.temporal_sync = f.temporal_sync;
  result.payload.spatial_sync = f.spatial_sync;
  return result;
}

GateVerdict decide(LayerGate& gate, const Frame& frame) { return gate.decide(packet(frame)).verdict; }

LayerGate simulcast(int spatial = -1) {
  LayerGate gate(true);
  gate.set_target(false, spatial, -1);
  gate.set_active(0b111, true);
  return gate;
}

}  // namespace

TEST(audio_starts_at_once) {
  LayerGate gate(false);
  gate.set_active(1, false);
  CHECK_EQ(decide(gate, {}), GateVerdict::kSwitch);
  CHECK_EQ(decide(gate, {}), GateVerdict::kForward);
  CHECK(!gate.awaited().has_value());
}

TEST(video_waits_for_a_keyframe) {
  LayerGate gate(true);
  gate.set_active(1, false);
  CHECK_EQ(decide(gate, {}), GateVerdict::kIgnore);
  CHECK_EQ(*gate.awaited(), 0);
  CHECK_EQ(decide(gate, {.keyframe = true}), GateVerdict::kSwitch);
  CHECK(!gate.awaited().has_value());
  CHECK_EQ(decide(gate, {}), GateVerdict::kForward);
  CHECK_EQ(decide(gate, {.keyframe = true}), GateVerdict::kForward);
}

TEST(nothing_is_awaited_before_an_encoding_sends) {
  const LayerGate gate(true);
  CHECK(!gate.awaited().has_value());
}

TEST(best_encoding_is_the_highest_active_one) {
  auto gate = simulcast();
  CHECK_EQ(*gate.awaited(), 2);
  CHECK_EQ(decide(gate, {.encoding = 0, .keyframe = true}), GateVerdict::kIgnore);
  CHECK_EQ(decide(gate, {.encoding = 2, .keyframe = true}), GateVerdict::kSwitch);
  CHECK_EQ(gate.current(), 2);
}

TEST(old_encoding_goes_on_until_the_new_ones_keyframe) {
  auto gate = simulcast(0);
  CHECK_EQ(decide(gate, {.encoding = 0, .keyframe = true}), GateVerdict::kSwitch);
  gate.set_target(false, 2, -1);
  CHECK_EQ(*gate.awaited(), 2);
  CHECK_EQ(decide(gate, {.encoding = 0}), GateVerdict::kForward);
  CHECK_EQ(decide(gate, {.encoding = 2}), GateVerdict::kIgnore);
  CHECK_EQ(decide(gate, {.encoding = 1, .keyframe = true}), GateVerdict::kIgnore);
  CHECK_EQ(decide(gate, {.encoding = 2, .keyframe = true}), GateVerdict::kSwitch);
  CHECK_EQ(decide(gate, {.encoding = 0}), GateVerdict::kIgnore);
  CHECK(!gate.awaited().has_value());
}

TEST(an_encoding_that_does_not_fit_ends_with_its_picture) {
  auto gate = simulcast(2);
  CHECK_EQ(decide(gate, {.encoding = 2, .keyframe = true}), GateVerdict::kSwitch);
  gate.set_target(false, 0, -1, true);
  CHECK_EQ(*gate.awaited(), 0);
  CHECK_EQ(decide(gate, {.encoding = 2, .start = false}), GateVerdict::kForward);
  CHECK_EQ(decide(gate, {.encoding = 2}), GateVerdict::kIgnore);
  CHECK_EQ(decide(gate, {.encoding = 2, .start = false}), GateVerdict::kIgnore);
  CHECK_EQ(decide(gate, {.encoding = 2, .keyframe = true}), GateVerdict::kIgnore);
  CHECK_EQ(*gate.awaited(), 0);
  CHECK_EQ(decide(gate, {.encoding = 0, .keyframe = true}), GateVerdict::kSwitch);
  CHECK_EQ(decide(gate, {.encoding = 0}), GateVerdict::kForward);
}

TEST(a_second_thought_leaves_nothing_at_once) {
  auto gate = simulcast(1);
  decide(gate, {.encoding = 1, .keyframe = true});
  gate.set_target(false, 0, -1, true);
  gate.set_target(false, 1, -1);
  CHECK_EQ(decide(gate, {.encoding = 1}), GateVerdict::kForward);
}

TEST(an_encoding_that_is_wanted_again_goes_on) {
  auto gate = simulcast(2);
  decide(gate, {.encoding = 2, .keyframe = true});
  gate.set_target(false, 1, -1, true);
  gate.set_active(0b100, true);  // what was to take its place is silent
  CHECK_EQ(decide(gate, {.encoding = 2}), GateVerdict::kForward);
  gate.set_active(0b101, true);
  CHECK_EQ(decide(gate, {.encoding = 2}), GateVerdict::kIgnore);
  CHECK_EQ(decide(gate, {.encoding = 0, .keyframe = true}), GateVerdict::kSwitch);
  gate.set_active(0b111, true);
  CHECK_EQ(decide(gate, {.encoding = 0}), GateVerdict::kForward);
  CHECK_EQ(*gate.awaited(), 1);
}

TEST(nothing_is_left_at_once_for_a_larger_picture) {
  auto gate = simulcast(0);
  decide(gate, {.encoding = 0, .keyframe = true});
  gate.set_target(false, 2, -1);
  gate.set_target(false, 1, -1, true);
  CHECK_EQ(decide(gate, {.encoding = 0}), GateVerdict::kForward);
  CHECK_EQ(decide(gate, {.encoding = 1, .keyframe = true}), GateVerdict::kSwitch);
}

TEST(silent_encoding_falls_back_to_the_best_below) {
  struct Row {
    std::uint32_t active;
    int target;
    int wanted;
  };
  for (const Row& row :
       {Row{0b011, 2, 1}, Row{0b001, 2, 0}, Row{0b110, 0, 1}, Row{0b100, 1, 2}, Row{0b101, 1, 0}, Row{0b010, -1, 1}}) {
    LayerGate gate(true);
    gate.set_target(false, row.target, -1);
    gate.set_active(row.active, true);
    CHECK_EQ(*gate.awaited(), row.wanted);
  }
}

TEST(silent_encoding_falls_back_to_the_next_smaller_picture) {
  EncodingOrder downwards;
  downwards.measure(std::vector<EncodingOrder::Measured>{{720, 900}, {360, 300}, {180, 100}});
  LayerGate gate(true);
  gate.set_target(false, 1, -1);
  gate.set_active(0b111, true, downwards);
  decide(gate, {.encoding = 1, .keyframe = true});
  gate.set_active(0b101, true, downwards);
  CHECK_EQ(*gate.awaited(), 2);
  CHECK_EQ(decide(gate, {.encoding = 0, .keyframe = true}), GateVerdict::kIgnore);
  CHECK_EQ(decide(gate, {.encoding = 2, .keyframe = true}), GateVerdict::kSwitch);
}

TEST(pause_stops_at_once_and_resumes_at_a_keyframe) {
  auto gate = simulcast(0);
  decide(gate, {.keyframe = true});
  gate.set_target(true, 0, -1);
  CHECK_EQ(decide(gate, {.keyframe = true}), GateVerdict::kIgnore);
  CHECK(!gate.awaited().has_value());
  gate.set_target(false, 0, -1);
  CHECK_EQ(decide(gate, {}), GateVerdict::kIgnore);
  CHECK_EQ(*gate.awaited(), 0);
  CHECK_EQ(decide(gate, {.keyframe = true}), GateVerdict::kSwitch);
}

TEST(reset_waits_for_a_keyframe_again) {
  LayerGate gate(true);
  gate.set_active(1, false);
  decide(gate, {.keyframe = true});
  gate.reset_source();
  CHECK_EQ(decide(gate, {}), GateVerdict::kIgnore);
  CHECK_EQ(*gate.awaited(), 0);
}

TEST(temporal_layers_go_off_at_a_frame_start_and_come_on_at_a_sync) {
  LayerGate gate(true);
  gate.set_active(1, false);
  decide(gate, {.keyframe = true});
  CHECK_EQ(decide(gate, {.temporal = 2}), GateVerdict::kForward);
  gate.set_target(false, -1, 0);
  // The rest of a frame that is on its way still goes out.
  CHECK_EQ(decide(gate, {.temporal = 2, .start = false}), GateVerdict::kForward);
  CHECK_EQ(decide(gate, {.temporal = 1}), GateVerdict::kDrop);
  CHECK_EQ(decide(gate, {.temporal = 0}), GateVerdict::kForward);
  gate.set_target(false, -1, 2);
  CHECK_EQ(decide(gate, {.temporal = 2}), GateVerdict::kDrop);
  CHECK_EQ(decide(gate, {.temporal = 1, .temporal_sync = true}), GateVerdict::kForward);
  CHECK_EQ(decide(gate, {.temporal = 2}), GateVerdict::kDrop);
  CHECK_EQ(decide(gate, {.temporal = 2, .temporal_sync = true}), GateVerdict::kForward);
  CHECK_EQ(decide(gate, {.temporal = 2}), GateVerdict::kForward);
}

TEST(switch_up_point_opens_all_higher_temporal_layers) {
  LayerGate gate(true);
  gate.set_active(1, false);
  gate.set_target(false, -1, 0);
  decide(gate, {.keyframe = true});
  CHECK_EQ(decide(gate, {.temporal = 1}), GateVerdict::kDrop);
  gate.set_target(false, -1, -1);
  CHECK_EQ(decide(gate, {.temporal = 1}), GateVerdict::kDrop);
  CHECK_EQ(decide(gate, {.temporal = 0, .switch_up = true}), GateVerdict::kForward);
  CHECK_EQ(decide(gate, {.temporal = 2}), GateVerdict::kForward);
}

TEST(keyframe_opens_every_wanted_layer) {
  LayerGate gate(true);
  gate.set_active(1, false);
  gate.set_target(false, 0, 0);
  decide(gate, {.keyframe = true});
  CHECK_EQ(decide(gate, {.spatial = 1}), GateVerdict::kDrop);
  gate.set_target(false, -1, -1);
  CHECK_EQ(*gate.awaited(), 0);
  CHECK_EQ(decide(gate, {.keyframe = true}), GateVerdict::kForward);
  CHECK_EQ(decide(gate, {.spatial = 1, .temporal = 0}), GateVerdict::kForward);
  CHECK(!gate.awaited().has_value());
}

TEST(spatial_layers_of_svc_are_cut_off_with_a_marker) {
  LayerGate gate(true);
  gate.set_active(1, false);
  gate.set_target(false, 1, -1);
  const auto first = gate.decide(packet({.keyframe = true}));
  CHECK_EQ(first.verdict, GateVerdict::kSwitch);
  CHECK(!first.set_marker);
  const auto cut = gate.decide(packet({.spatial = 1}));
  CHECK_EQ(cut.verdict, GateVerdict::kForward);
  CHECK(cut.set_marker);
  CHECK(!gate.decide(packet({.spatial = 1, .end = false})).set_marker);
  CHECK_EQ(decide(gate, {.spatial = 2}), GateVerdict::kDrop);
}

TEST(spatial_layer_goes_off_at_the_start_of_a_picture) {
  LayerGate gate(true);
  gate.set_active(1, false);
  decide(gate, {.keyframe = true});
  CHECK_EQ(decide(gate, {.spatial = 2}), GateVerdict::kForward);
  gate.set_target(false, 0, -1);
  CHECK_EQ(decide(gate, {.spatial = 1}), GateVerdict::kForward);
  CHECK_EQ(decide(gate, {.spatial = 0}), GateVerdict::kForward);
  CHECK_EQ(decide(gate, {.spatial = 1}), GateVerdict::kDrop);
}

TEST(spatial_layer_comes_on_one_by_one_where_it_needs_no_earlier_picture) {
  LayerGate gate(true);
  gate.set_active(1, false);
  gate.set_target(false, 0, -1);
  decide(gate, {.keyframe = true});
  decide(gate, {.spatial = 2});
  gate.set_target(false, -1, -1);
  CHECK_EQ(decide(gate, {.spatial = 2, .spatial_sync = true}), GateVerdict::kDrop);
  CHECK_EQ(decide(gate, {.spatial = 1, .spatial_sync = true}), GateVerdict::kForward);
  CHECK_EQ(decide(gate, {.spatial = 2}), GateVerdict::kDrop);
  CHECK_EQ(decide(gate, {.spatial = 2, .spatial_sync = true}), GateVerdict::kForward);
}

TEST(simulcast_target_does_not_cap_layers_inside_the_encoding) {
  auto gate = simulcast(0);
  CHECK_EQ(decide(gate, {.keyframe = true}), GateVerdict::kSwitch);
  CHECK_EQ(decide(gate, {.spatial = 2}), GateVerdict::kForward);
  CHECK(!gate.awaited().has_value());
}

TEST(malformed_payloads_go_to_nobody) {
  auto gate = simulcast(0);
  CHECK_EQ(decide(gate, {.keyframe = true, .valid = false}), GateVerdict::kIgnore);
  decide(gate, {.keyframe = true});
  CHECK_EQ(decide(gate, {.valid = false}), GateVerdict::kDrop);
  CHECK_EQ(decide(gate, {.encoding = 1, .valid = false}), GateVerdict::kIgnore);
}

TEST(encoding_that_comes_back_is_wanted_again) {
  auto gate = simulcast();
  decide(gate, {.encoding = 2, .keyframe = true});
  gate.set_active(0b011, true);
  CHECK_EQ(*gate.awaited(), 1);
  CHECK_EQ(decide(gate, {.encoding = 1, .keyframe = true}), GateVerdict::kSwitch);
  gate.set_active(0b111, true);
  CHECK_EQ(*gate.awaited(), 2);
  gate.set_active(0, true);
  CHECK_EQ(*gate.awaited(), 2);
}
