// One source of a publisher: its encodings with their receive state, and who takes its packets. A worker that does not
// own the publisher's transport, but has subscribers of the track, keeps one of its own, fed by a TrackLink.
// Thread: the worker that owns it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audio_level.h"
#include "audio_stage.h"
#include "codec.h"
#include "codec_peek/codec_peek.h"
#include "commands.h"
#include "encoding_activity.h"
#include "encoding_order.h"
#include "keyframe_throttle.h"
#include "layer_rates.h"
#include "nack_generator.h"
#include "packet_store.h"
#include "receive_stats.h"
#include "sender_report.h"
#include "seq.h"
#include "track_link.h"

namespace parley {

struct Transport;
struct Track;
struct Forward;
struct Tap;

struct Encoding {
  static constexpr std::uint8_t kLongestFrame = 64;  // packets; a longer one takes longer than any batch waits

  Encoding(Track& owner, std::uint8_t place, const EncodingEntry& entry, const StoreConfig& store_config,
           std::uint32_t first_clock_hz)
      : track(owner),
        index(place),
        rid(entry.rid),
        ssrc(entry.ssrc),
        rtx_ssrc(entry.rtx_ssrc),
        stats(first_clock_hz),
        store(store_config) {}

  Track& track;
  std::uint32_t key = 0;  // unique in the worker, outlived by what forwards remember of it
  std::uint8_t index;
  std::string rid;
  std::uint32_t ssrc;
  std::uint32_t rtx_ssrc;
  Codec codec = Codec::kUnknown;
  std::uint32_t clock_hz = 0;
  bool has_sent = false;

  SeqUnwrapper seqs;
  NackGenerator nack;
  ReceiveStats stats;
  PacketStore store;
  std::optional<std::int64_t> keyframe;  // number of the first packet of the newest one
  CodecPeek peek;
  KeyframeThrottle keyframes;
  std::uint8_t fir_seq = 0;
  bool awaits_nack = false;      // listed for the NACK timer
  bool awaits_keyframe = false;  // listed for the keyframe timer
  LayerRates rates;
  std::uint16_t height = 0;  // of its picture, 0: not known
  TimeNs last_keyframe_event = 0;
  std::uint64_t keyframes_received = 0;
  std::uint64_t recovered = 0;
  std::uint32_t generation = 0;   // of its numbering; another SSRC begins a new one
  std::uint8_t since_marker = 0;  // packets of a frame whose last is still to come

  // A packet came in its place. The marker ends a frame (for every video codec of ours).
  void note_marker(bool marker) {
    if (marker || since_marker <= kLongestFrame) {
      since_marker = marker ? std::uint8_t{0} : static_cast<std::uint8_t>(since_marker + 1);
    }
  }
  // Not so for a publisher who marks no ends.
  [[nodiscard]] bool is_mid_frame() const { return since_marker > 0 && since_marker <= kLongestFrame; }

  // A new SSRC: nothing known of the old numbering holds.
  void restart() {
    seqs.reset();
    nack.reset();
    stats = ReceiveStats(clock_hz);
    store.clear();
    keyframe.reset();
    peek.reset();
    since_marker = 0;
    ++generation;
  }
};

struct Track {
  static constexpr std::size_t kMaxForwards = 4096;
  static constexpr std::size_t kMaxTaps = 64;
  static constexpr std::size_t kMaxPending = 48;

  Track(std::uint32_t track_id, Transport* owner, bool video) : id(track_id), publisher(owner), is_video(video) {}

  // A packet that waits in its encoding's store for the next fan-out.
  struct Pending {
    std::int64_t ext_seq = 0;
    std::uint8_t encoding = 0;
    bool codec_changed = false;
    bool is_lead_in = false;  // from just before its track entered the stage
  };

  std::uint32_t id;
  Transport* publisher;  // null: received by another worker
  bool is_video;
  bool nack = false;
  bool twcc = false;
  bool e2ee = false;
  bool fir = false;
  bool enabled = true;
  std::string mid;
  std::vector<CodecEntry> codecs;
  std::vector<std::unique_ptr<Encoding>> encodings;
  EncodingActivity activity;
  EncodingOrder order;
  EncodingClocks clocks;
  AudioLevelMeter levels;
  std::uint32_t stage = 0;  // that it competes on; 0: none
  Voice voice;
  TimeNs next_layers = 0;  // when its layers are told next

  std::vector<Forward*> forwards;
  std::uint32_t outside_forwards = 0;  // those that get it whether it is heard or not
  std::vector<Tap*> taps;
  std::vector<Pending> pending;      // capacity kMaxPending from the start
  std::uint32_t gathered_first = 0;  // its packets in the fan-out's current round
  std::uint32_t gathered_count = 0;

  std::shared_ptr<TrackLink> origin;                // where its packets come from when another worker receives it
  std::vector<std::shared_ptr<TrackLink>> exports;  // the other workers that get them
  std::shared_ptr<PacketPool> pool;                 // of the packets on their way there

  // A packet of the encoding was stored; forwards hear which encodings send, and which is above which.
  void receive(Encoding& encoding, const Packet& packet, TimeNs now);
  // Time passed, the same; true when there are new rates. Call about ten times a second.
  bool tick(TimeNs now);
  void tell_active(Forward& forward) const;
  // The encoding's numbering begins anew: forwards of it wait for a keyframe.
  void restart(Encoding& encoding);

  [[nodiscard]] bool is_simulcast() const { return encodings.size() > 1; }
  [[nodiscard]] const CodecEntry* codec_of(std::uint8_t pt) const {
    for (const CodecEntry& entry : codecs) {
      if (entry.pt == pt) {
        return &entry;
      }
    }
    return nullptr;
  }
  // The codec whose retransmissions come as `pt`.
  [[nodiscard]] const CodecEntry* codec_of_rtx(std::uint8_t pt) const {
    for (const CodecEntry& entry : codecs) {
      if (entry.rtx_pt == pt) {
        return &entry;
      }
    }
    return nullptr;
  }

 private:
  void tell_active();
  bool measure();
};

}  // namespace parley
