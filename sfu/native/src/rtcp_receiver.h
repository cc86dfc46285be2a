// Incoming RTCP: publishers' sender reports, subscribers' NACK, PLI, FIR, report blocks and REMB.
// Thread: the worker that owns it.
#pragma once

#include "bytes.h"
#include "departures.h"
#include "keyframe_requests.h"
#include "registry.h"
#include "resender.h"
#include "rtcp_view.h"
#include "tap_writer.h"
#include "track_links.h"
#include "worker_context.h"

namespace parley {

class RtcpReceiver {
 public:
  RtcpReceiver(WorkerContext& context, TapWriter& taps, Resender& resender, KeyframeRequests& keyframes,
               TrackLinks& links, Departures& departures)
      : context_(context),
        taps_(taps),
        resender_(resender),
        keyframes_(keyframes),
        links_(links),
        departures_(departures) {}

  // One SRTCP datagram from a bound path; decrypted in place.
  void receive(Transport& transport, MutableBytes datagram, TimeNs now);

  // A publisher's report, from a compound packet or from a local process.
  void take_report(Transport& transport, const SenderInfo& report, TimeNs now);

 private:
  // Messages read of one compound packet, and sequence numbers answered of it: what a peer may cost us at once.
  static constexpr std::size_t kMaxMessages = 64;
  static constexpr std::size_t kMaxNacked = 256;

  void receive_sender_report(Transport& transport, const RtcpMessage& message, TimeNs now);
  void receive_report_blocks(Transport& transport, const RtcpMessage& message, TimeNs now);
  void receive_echoes(Transport& transport, const RtcpMessage& message, TimeNs now);
  void receive_nack(Transport& transport, const RtcpMessage& message, std::size_t& nacked, TimeNs now);
  void receive_keyframe_request(Transport& transport, std::uint32_t media_ssrc, TimeNs now);
  void receive_remb(Transport& transport, const RtcpMessage& message, TimeNs now);
  Forward* forward_of(Transport& transport, std::uint32_t media_ssrc);

  WorkerContext& context_;
  TapWriter& taps_;
  Resender& resender_;
  KeyframeRequests& keyframes_;
  TrackLinks& links_;
  Departures& departures_;
};

}  // namespace parley
