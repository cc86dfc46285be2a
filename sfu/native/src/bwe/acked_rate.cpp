#include "bwe/acked_rate.h"

#include <algorithm>

namespace parley {

namespace {

constexpr TimeNs kMaxGap = kSecond;
constexpr double kWeight = 0.4;  // of a new window: what a forwarder sends changes from one second to the next

}  // namespace

void AckedRate::receive(std::uint32_t bytes, TimeNs arrived) {
  if (!is_started_ || arrived - last_ > kMaxGap || last_ - arrived > kMaxGap) {
    is_started_ = true;
    start_ = last_ = arrived;
    bytes_ = bytes;
    return;
  }
  const TimeNs window = has_rate_ ? kWindow : kFirstWindow;
  if (arrived - start_ >= window) {
    close_window(arrived - start_);
    start_ = arrived;
    bytes_ = 0;
  }
  last_ = std::max(last_, arrived);
  bytes_ += bytes;
}

double AckedRate::sample(TimeNs length) const {
  return static_cast<double>(bytes_) * 8 * static_cast<double>(kSecond) / static_cast<double>(length);
}

std::optional<double> AckedRate::filled_bps() const {
  if (!has_rate_) {
    return std::nullopt;
  }
  const double open = last_ - start_ >= kTelling ? sample(last_ - start_) : 0;
  return std::max({rate_, last_sample_, open});
}

void AckedRate::close_window(TimeNs length) {
  last_sample_ = sample(length);
  rate_ = has_rate_ ? rate_ + kWeight * (last_sample_ - rate_) : last_sample_;
  has_rate_ = true;
}

}  // namespace parley
