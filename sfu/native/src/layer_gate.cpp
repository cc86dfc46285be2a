#include "layer_gate.h"

#include <algorithm>
#include <bit>

namespace parley {

namespace {

constexpr int kBest = 7;  // more layers than any codec has

int cap_of(int target) { return target < 0 ? kBest : std::min(target, kBest); }

}  // namespace

void LayerGate::set_target(bool paused, int spatial, int temporal, bool at_once) {
  spatial_target_ = spatial;
  temporal_target_ = temporal;
  if (paused && !paused_) {
    reset_source();
  }
  paused_ = paused;
  at_once_ = at_once;
  choose();
}

void LayerGate::set_active(std::uint32_t encodings, bool is_simulcast, const EncodingOrder& order) {
  active_ = encodings;
  is_simulcast_ = is_simulcast;
  order_ = order;
  choose();
}

void LayerGate::reset_source() {
  current_ = -1;
  highest_spatial_ = 0;
}

bool LayerGate::leaves_at_once() const {
  return at_once_ && is_simulcast_ && current_ >= 0 && order_.is_higher(current_, wanted_);
}

void LayerGate::choose() {
  if (active_ == 0) {
    return;  // keep the wish: the encoding may come back
  }
  wanted_ = is_simulcast_ ? order_.choose(active_, spatial_target_) : std::countr_zero(active_);
}

std::optional<std::uint8_t> LayerGate::awaited() const {
  if (paused_ || !is_video_ || wanted_ < 0) {
    return std::nullopt;
  }
  if (wanted_ != current_ || std::min(spatial_cap(), highest_spatial_) > spatial_now_) {
    return static_cast<std::uint8_t>(wanted_);
  }
  return std::nullopt;
}

GateDecision LayerGate::decide(const Packet& packet) {
  if (paused_) {
    return {};
  }
  const int encoding = packet.encoding;
  if (!packet.payload.valid) {
    // A malformed payload goes to nobody; its number is closed up.
    return {.verdict = encoding == current_ ? GateVerdict::kDrop : GateVerdict::kIgnore, .set_marker = false};
  }
  if (encoding == wanted_ && encoding != current_) {
    // Of an opaque frame nobody but its decoder can tell whether it is a keyframe.
    const PayloadInfo& payload = packet.payload;
    const bool is_start = payload.keyframe_start || (payload.is_opaque && payload.frame_start);
    const bool may_switch = !packet.is_padding_only() && (!is_video_ || is_start);
    if (may_switch) {
      current_ = encoding;
      at_once_ = false;
      highest_spatial_ = 0;
      spatial_now_ = spatial_cap();
      temporal_now_ = cap_of(temporal_target_);
      return {.verdict = GateVerdict::kSwitch, .set_marker = ends_picture(packet)};
    }
  }
  if (encoding == current_ && packet.payload.frame_start && leaves_at_once()) {
    reset_source();
  }
  if (encoding != current_) {
    return {};
  }
  return is_video_ && !packet.is_padding_only() ? decide_layers(packet)
                                                : GateDecision{.verdict = GateVerdict::kForward, .set_marker = false};
}

GateDecision LayerGate::decide_layers(const Packet& packet) {
  const PayloadInfo& payload = packet.payload;
  const int spatial = payload.spatial;
  const int temporal = payload.temporal;
  highest_spatial_ = std::max(highest_spatial_, spatial);
  if (payload.keyframe_start) {
    spatial_now_ = spatial_cap();
    temporal_now_ = cap_of(temporal_target_);
  } else if (payload.frame_start) {
    move_temporal(payload);
    move_spatial(payload);
  }
  if (spatial > spatial_now_ || temporal > temporal_now_) {
    return {.verdict = GateVerdict::kDrop, .set_marker = false};
  }
  return {.verdict = GateVerdict::kForward, .set_marker = ends_picture(packet)};
}

void LayerGate::move_temporal(const PayloadInfo& payload) {
  const int cap = cap_of(temporal_target_);
  const int temporal = payload.temporal;
  if (temporal_now_ > cap) {
    temporal_now_ = cap;
  } else if (temporal_now_ < cap) {
    if (payload.switch_up && temporal <= temporal_now_) {
      temporal_now_ = cap;
    } else if (payload.temporal_sync && temporal > temporal_now_ && temporal <= cap) {
      temporal_now_ = temporal;
    }
  }
}

void LayerGate::move_spatial(const PayloadInfo& payload) {
  const int cap = spatial_cap();
  const int spatial = payload.spatial;
  if (spatial_now_ > cap && spatial == 0) {
    spatial_now_ = cap;  // at the start of a picture, not in the middle of one
  } else if (spatial == spatial_now_ + 1 && spatial <= cap && payload.spatial_sync) {
    spatial_now_ = spatial;
  }
}

// The last packet that goes out of this picture: layers above are cut off, so their marker will not come.
bool LayerGate::ends_picture(const Packet& packet) const {
  return is_video_ && packet.payload.frame_end && packet.payload.spatial == spatial_now_;
}

// Inside one encoding; a simulcast track's spatial target is the encoding itself.
int LayerGate::spatial_cap() const { return is_simulcast_ ? kBest : cap_of(spatial_target_); }

}  // namespace parley
