// When a worker's batch goes out. Packets that gather first leave in longer trains, and the worker wakes less often:
//  - nothing gathers while little is sent, nor when the worker is so busy that packets gather by themselves;
//  - video gathers for `coalesce`, and again until the frame is whole (a decoder waits for its last packet anyway),
//  three
//    times at most, while the worker sends little enough that few frames are under way at once;
//  - a frame that gathers alone is first looked at when frames were whole lately, and every half `coalesce` from then
//  on;
//  - sound alone gathers where other sound is likely to come meanwhile.
// Pure: time comes in.
#pragma once

#include <cstdint>

#include "units.h"

namespace parley {

class BatchWindow {
 public:
  explicit BatchWindow(TimeNs coalesce) : coalesce_(coalesce) {}

  // A packet joins the batch; the first begins it. `is_first_of_track`: the batch had none of its track. `waited`: it
  // was in another worker's batch for so long.
  void receive(bool is_video, bool is_first_of_track, TimeNs now, TimeNs waited);
  // kNever: there is no batch.
  [[nodiscard]] TimeNs deadline() const { return deadline_; }
  // Whether the batch goes out; `is_mid_frame`: the end of a frame that it has packets of is still to come.
  bool is_due(TimeNs now, bool is_mid_frame);
  // Everything went out; there is no batch.
  void flushed(TimeNs now);
  void cancel();

  // After every loop of the worker: how long it was busy, and how many packets it has sent in all. Sets the window from
  // now on.
  void note_busy(TimeNs busy, std::uint64_t sent, TimeNs now);

 private:
  // Packets sent a second from which gathering pays, a few in a thousand of a core; those up to which whole frames
  // gather; and the share of a core from which gathering would only idle.
  static constexpr double kGatherPerSecond = 2000;
  static constexpr double kFramesPerSecond = 100'000;
  static constexpr double kSaturated = 0.7;
  static constexpr TimeNs kMeasureInterval = 50 * kMillisecond;
  static constexpr int kFrameWindows = 3;
  // How the first look follows the frames: later by this part of a window when it came too soon, else sooner by that.
  static constexpr int kLater = 2;
  static constexpr int kSooner = 16;
  // Other sound that is expected in a window, from which it is worth the wait.
  static constexpr double kCompany = 0.5;

  TimeNs coalesce_;
  TimeNs window_ = 0;
  TimeNs frame_window_ = 0;  // from a frame's first packet to the first look
  bool gathers_frames_ = false;
  bool gathers_sound_ = false;

  TimeNs deadline_ = kNever;
  TimeNs begun_ = 0;
  TimeNs last_deadline_ = 0;  // however often it is put off
  int videos_ = 0;            // tracks
  bool has_looked_ = false;   // at this batch
  TimeNs flushed_ = 0;

  double sent_per_s_ = 0;
  double sound_per_s_ = 0;
  std::uint64_t sent_before_ = 0;  // in all, when the interval began
  std::uint64_t sound_ = 0;        // in the interval
  TimeNs busy_ = 0;
  TimeNs interval_start_ = 0;
};

}  // namespace parley
