// Rewrites one forward's packets so that the subscriber sees a single unbroken source: sequence numbers, timestamps,
// the picture id, TL0PICIDX and KEYIDX of VP8, picture id and TL0PICIDX of VP9 and the frame number of dependency
// descriptors go on across source switches, dropped packets and pauses.
// Thread: the worker that owns the forward. Source: RFC 3550 section 5.1, RFC 7741 section 4.2, RFC 9628 section 4.2,
// RTP Payload Format for AV1 (AOMedia) appendix A.
#pragma once

#include <cstdint>
#include <optional>

#include "packet.h"
#include "rtp_write.h"
#include "seq.h"
#include "seq_compactor.h"
#include "units.h"

namespace parley {

struct Munged {
  std::int64_t ext_seq = 0;
  std::uint32_t timestamp = 0;
  std::uint16_t picture_id = 0;    // 15 bits
  std::uint16_t frame_number = 0;  // of the dependency descriptor
  std::uint8_t tl0_pic_idx = 0;
  std::uint8_t keyidx = 0;
  bool marker = false;

  [[nodiscard]] std::uint16_t seq() const { return static_cast<std::uint16_t>(ext_seq); }
};

class Munger {
 public:
  // The outgoing numbering starts at these (random, chosen by the caller: RFC 3550 section 5.1).
  Munger(std::uint16_t first_seq, std::uint32_t first_timestamp);

  // `packet` is the first of a new source (another encoding, another track, or a resume after a pause): everything goes
  // on behind what went out. `aligned_timestamp`: the packet's timestamp on the old source's clock when sender reports
  // of both are known (see EncodingClocks); else the elapsed time decides. `clock_hz` of the codec.
  Munged switch_source(const Packet& packet, std::optional<std::uint32_t> aligned_timestamp, std::uint32_t clock_hz,
                       TimeNs now);

  // A packet of the current source. Nothing when it must not go out: padding only (its number is closed up), from
  // before the switch, or dropped earlier. `set_marker` ends the picture early (upper spatial layers are cut off).
  std::optional<Munged> forward(const Packet& packet, bool set_marker, TimeNs now);

  // A packet of the current source that the layer gate holds back: later ones close up.
  void drop(const Packet& packet);

  [[nodiscard]] bool has_source() const { return has_source_; }
  // Added to the current source's timestamps; sender reports use the same.
  [[nodiscard]] std::uint32_t timestamp_offset() const { return timestamp_offset_; }
  [[nodiscard]] std::uint16_t last_seq() const { return static_cast<std::uint16_t>(seqs_.next_out() - 1); }
  [[nodiscard]] std::uint32_t last_timestamp() const { return last_timestamp_; }

 private:
  Munged munge(const Packet& packet, std::int64_t ext_seq, std::int64_t picture, bool set_marker, TimeNs now);
  void switch_pictures(const PictureFields& picture);
  // Where a picture goes; nothing when it was dropped.
  std::optional<std::int64_t> map_picture(const PictureFields& picture);

  SeqCompactor seqs_;
  SeqCompactor pictures_;             // of sources whose numbers close up
  std::uint16_t picture_offset_ = 0;  // of sources whose numbers keep their holes
  std::uint16_t last_picture_ = 0;    // newest that went out
  PictureIdUnwrapper picture_ids_;
  std::uint16_t frame_offset_ = 0;
  std::uint16_t last_frame_ = 0;  // newest that went out
  std::uint32_t timestamp_offset_ = 0;
  std::uint32_t last_timestamp_ = 0;
  TimeNs last_time_ = 0;
  std::uint8_t tl0_offset_ = 0;
  std::uint8_t keyidx_offset_ = 0;
  std::uint8_t last_tl0_ = 0;
  std::uint8_t last_keyidx_ = 0;
  bool has_source_ = false;
  bool has_sent_ = false;
  bool has_pictures_ = false;  // a source with numbers in its payload went out before
  bool has_frames_ = false;    // one with frame numbers did
};

// The payload patch for VP8 and VP9 (15-bit picture id always); an empty patch for other codecs or without rewritable
// fields.
[[nodiscard]] PayloadPatch payload_patch(const Packet& packet, std::uint16_t picture_id, std::uint8_t tl0_pic_idx,
                                         std::uint8_t keyidx);

}  // namespace parley
