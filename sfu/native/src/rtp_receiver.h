// The receive side of RTP: decrypt, parse, find the encoding, repair, count, look at the codec, store, hand on.
// Thread: the worker that owns it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bytes.h"
#include "fanout.h"
#include "feedback.h"
#include "keyframe_requests.h"
#include "packet.h"
#include "registry.h"
#include "track_links.h"
#include "worker_context.h"

namespace parley {

class RtpReceiver {
 public:
  RtpReceiver(WorkerContext& context, Fanout& fanout, KeyframeRequests& keyframes, Feedback& feedback,
              TrackLinks& links)
      : context_(context), fanout_(fanout), keyframes_(keyframes), feedback_(feedback), links_(links) {}

  // One SRTP datagram from a bound path; decrypted in place.
  void receive(Transport& transport, MutableBytes datagram, TimeNs now);
  // One RTP packet of a local process, in the clear.
  void receive_plain(Transport& transport, MutableBytes packet, TimeNs now);

 private:
  // What an SSRC turned out to be.
  struct Source {
    Track* track = nullptr;
    Encoding* encoding = nullptr;
    bool is_rtx = false;
  };

  bool has_room(Transport& transport, std::uint32_t ssrc);
  void receive_as_client(Transport& transport, MutableBytes datagram, TimeNs now);
  void take(Transport& transport, std::uint32_t ssrc, MutableBytes packet, TimeNs now);
  std::optional<MutableBytes> decrypt(Transport& transport, MutableBytes datagram, TimeNs now);
  Source find_source(Transport& transport, SsrcEntry& entry, const RtpView& rtp, const ExtensionTable& extensions);
  Source latch(Transport& transport, SsrcEntry& entry, const RtpView& rtp, const ExtensionTable& extensions);
  void receive_media(const Source& source, const RtpView& rtp, const ExtensionTable& extensions, bool repaired,
                     TimeNs now);
  void recover(const Source& source, const Packet& packet, TimeNs now);
  void accept(const Source& source, const CodecEntry& codec, const Packet& packet, TimeNs now);
  bool track_sequence(Encoding& encoding, std::int64_t ext_seq, TimeNs now);
  bool notice_codec(Encoding& encoding, const RtpView& rtp, const CodecEntry& codec);
  void notice_keyframe(Encoding& encoding, TimeNs now);

  WorkerContext& context_;
  Fanout& fanout_;
  KeyframeRequests& keyframes_;
  Feedback& feedback_;
  TrackLinks& links_;
};

// Marks a packet of this transport as authentic: proof of keys, end of idleness.
void note_authentic(WorkerContext& context, Transport& transport, TimeNs now);
void count_rejected(WorkerContext& context, Transport& transport, SrtpError error);

}  // namespace parley
