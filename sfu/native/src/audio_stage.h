// The loudest few audio tracks of one room: they have the places, and only they are forwarded. Who speaks up takes the
// place of the quietest, when clearly louder than that; silence moves nobody.
// Thread: the worker that owns the tracks. A room that several workers serve has a stage on each, of the same tracks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "loudness.h"
#include "rtp_view.h"
#include "units.h"

namespace parley {

class AudioStage;

// One track's part in it.
struct Voice {
  AudioStage* stage = nullptr;  // null: competes nowhere, and is always heard
  Loudness loudness;
  bool is_heard = true;
  std::uint32_t turn = 0;        // counts its entrances
  std::int64_t heard_until = 0;  // number of the newest packet from while it was heard
};

class AudioStage {
 public:
  static constexpr std::uint32_t kMaxPlaces = 64;
  static constexpr double kMargin = 3;  // dB that a challenger must be louder by

  void join(Voice& voice);
  void leave(Voice& voice);
  // 0: everyone is heard. Of more than there are places the loudest stay.
  void set_places(std::uint32_t places, TimeNs now);

  // The level of a packet of `voice`. True: it enters with this packet.
  bool receive(Voice& voice, std::optional<AudioLevel> level, TimeNs now);

  [[nodiscard]] bool is_idle() const { return voices_.empty() && places_ == 0; }

 private:
  void enter(Voice& voice);

  std::vector<Voice*> voices_;
  std::vector<Voice*> heard_;  // those with a place; unused while everyone is heard
  std::uint32_t places_ = 0;
};

// The stages of one worker, by the number that the control side gave them.
class AudioStages {
 public:
  void join(std::uint32_t stage, Voice& voice);
  void leave(Voice& voice);
  void set_places(std::uint32_t stage, std::uint32_t places, TimeNs now);
  [[nodiscard]] std::size_t size() const { return stages_.size(); }

 private:
  std::unordered_map<std::uint32_t, std::unique_ptr<AudioStage>> stages_;
};

}  // namespace parley
