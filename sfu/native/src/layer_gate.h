// Decides per packet whether a forward sends it: which encoding of a simulcast track, which spatial and temporal
// layers. Encodings change only at a keyframe (opaque ones, of which nothing can be read, at any frame); temporal
// layers come on only at a switch-up point and go off at a frame start. Thread: the worker that owns the forward.
#pragma once

#include <cstdint>
#include <optional>

#include "encoding_order.h"
#include "packet.h"
#include "units.h"

namespace parley {

enum class GateVerdict : std::uint8_t {
  kForward,
  kSwitch,  // forward, and it is the first packet of a new source: Munger::switch_source
  kDrop,    // of the current source, above its cap: Munger::drop
  kIgnore,  // not of the current source: nothing to do
};

struct GateDecision {
  GateVerdict verdict = GateVerdict::kIgnore;
  bool set_marker = false;  // last packet of the highest spatial layer that is forwarded
};

class LayerGate {
 public:
  // Audio needs no keyframe: it switches at once.
  explicit LayerGate(bool is_video) : is_video_(is_video) {}

  // `spatial`, `temporal`: -1 = best. In a simulcast track `spatial` is the encoding's index, in an SVC track the layer
  // inside encoding 0. `at_once`: the path does not carry the present encoding, so as soon as a lower one is to be had
  // it ends with the picture under way, and nothing is sent until the lower one's keyframe.
  void set_target(bool paused, int spatial, int temporal, bool at_once = false);

  // Encodings that send at present (bit i = encoding i), from EncodingActivity, and which is above which. The highest
  // active one not above the target is wanted; else the lowest active one above it.
  void set_active(std::uint32_t encodings, bool is_simulcast, const EncodingOrder& order = {});

  [[nodiscard]] GateDecision decide(const Packet& packet);

  // The source is gone (other track, codec change, publisher restart): wait for a keyframe again.
  void reset_source();

  // The encoding whose keyframe the forward waits for (a higher spatial layer inside it included); nothing when it is
  // where it wants to be, or paused.
  [[nodiscard]] std::optional<std::uint8_t> awaited() const;
  [[nodiscard]] int wanted() const { return wanted_; }    // encoding that the target leads to, -1 none sends
  [[nodiscard]] int current() const { return current_; }  // encoding that is forwarded, -1 none
  [[nodiscard]] bool is_paused() const { return paused_; }

 private:
  void choose();
  // The present encoding is above the wanted one, and more than the path carries.
  [[nodiscard]] bool leaves_at_once() const;
  GateDecision decide_layers(const Packet& packet);
  void move_temporal(const PayloadInfo& payload);
  void move_spatial(const PayloadInfo& payload);
  [[nodiscard]] bool ends_picture(const Packet& packet) const;
  [[nodiscard]] int spatial_cap() const;

  bool is_video_;
  bool is_simulcast_ = false;
  bool paused_ = false;
  bool at_once_ = false;
  int spatial_target_ = -1;
  int temporal_target_ = -1;
  std::uint32_t active_ = 0;
  EncodingOrder order_;
  int wanted_ = -1;
  int current_ = -1;
  int spatial_now_ = 0;      // cap inside the encoding, kBest = none
  int temporal_now_ = 0;     // the same
  int highest_spatial_ = 0;  // seen in the current source
};

}  // namespace parley
