#include "batch_window.h"

#include <algorithm>

namespace parley {

void BatchWindow::receive(bool is_video, bool is_first_of_track, TimeNs now, TimeNs waited) {
  sound_ += is_video ? 0 : 1;
  const bool is_first = deadline_ == kNever;
  videos_ += is_video && is_first_of_track ? 1 : 0;
  begun_ = is_first ? now : begun_;
  if (!is_first && is_video && is_first_of_track && videos_ == 2) {
    deadline_ = std::min(deadline_, std::max(now, begun_ + window_));
  }
  if (!is_first && !(is_video && is_first_of_track && videos_ == 1)) {
    return;
  }
  const bool is_frame = is_video && gathers_frames_ && waited == 0;
  const TimeNs window = is_video || gathers_sound_ ? window_ : 0;
  // Batches of many other workers become one: half a window is between any two.
  const TimeNs due = is_frame      ? std::min(now + frame_window_, begun_ + kFrameWindows * window_)
                     : waited == 0 ? now + window
                                   : std::max(now + window - waited, flushed_ + window_ / 2);
  deadline_ = is_first ? due : std::max(deadline_, due);
  last_deadline_ = is_frame ? std::max(deadline_, begun_ + kFrameWindows * window_) : deadline_;
}

bool BatchWindow::is_due(TimeNs now, bool is_mid_frame) {
  if (now < deadline_) {
    return false;
  }
  const bool is_over = !is_mid_frame || window_ == 0 || now >= last_deadline_;
  if (videos_ == 1 && gathers_frames_ && !has_looked_) {
    has_looked_ = true;
    frame_window_ += is_mid_frame ? window_ / kLater : -window_ / kSooner;
    frame_window_ = std::clamp(frame_window_, window_, kFrameWindows * window_);
  }
  if (!is_over) {
    deadline_ = std::min(now + (videos_ == 1 ? window_ / 2 : window_), last_deadline_);
  }
  return is_over;
}

void BatchWindow::flushed(TimeNs now) {
  flushed_ = now;
  cancel();
}

void BatchWindow::cancel() {
  deadline_ = kNever;
  videos_ = 0;
  has_looked_ = false;
}

void BatchWindow::note_busy(TimeNs busy, std::uint64_t sent, TimeNs now) {
  busy_ += busy;
  const TimeNs elapsed = now - interval_start_;
  if (elapsed < kMeasureInterval) {
    return;
  }
  const double per_second = 1e9 / static_cast<double>(elapsed);
  // A second without a loop says that the load is gone; else a smooth figure keeps the window from flickering.
  const double is_new = elapsed > kSecond ? 1 : 0.25;
  sent_per_s_ += is_new * (static_cast<double>(sent - sent_before_) * per_second - sent_per_s_);
  sound_per_s_ += is_new * (static_cast<double>(sound_) * per_second - sound_per_s_);
  const bool is_saturated = static_cast<double>(busy_) > kSaturated * static_cast<double>(elapsed);
  window_ = sent_per_s_ < kGatherPerSecond || is_saturated ? 0 : coalesce_;
  gathers_frames_ = window_ != 0 && sent_per_s_ < kFramesPerSecond;
  frame_window_ = std::max(frame_window_, window_);
  gathers_sound_ = sound_per_s_ * static_cast<double>(coalesce_) / 1e9 >= kCompany;
  sent_before_ = sent;
  sound_ = 0;
  busy_ = 0;
  interval_start_ = now;
}

}  // namespace parley
