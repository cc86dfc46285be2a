// One entry for all codecs, with the state that one encoding needs between packets.
// Thread: the worker that owns the encoding.
#pragma once

#include "../bytes.h"
#include "../codec.h"
#include "../rtp_view.h"
#include "av1.h"
#include "payload_info.h"

namespace parley {

class CodecPeek {
 public:
  // A padding-only packet is `valid` with nothing else set. Codec::kUnknown is not valid.
  [[nodiscard]] PayloadInfo peek(Codec codec, const RtpView& rtp, const ExtensionTable& extensions);
  // The same for a payload that is encrypted end to end: header and extensions alone.
  [[nodiscard]] PayloadInfo peek_encrypted(const RtpView& rtp, const ExtensionTable& extensions);
  void reset() { *this = CodecPeek{}; }

 private:
  PayloadInfo peek_payload(Codec codec, const RtpView& rtp, const ExtensionTable& extensions);
  PayloadInfo peek_h264_frame(const RtpView& rtp);
  // H.264 has no place for layers, and senders of dependency descriptors leave them out of VP8's own.
  PayloadInfo with_layers(PayloadInfo info, const RtpView& rtp, const ExtensionTable& extensions);
  // No packet of this timestamp came before.
  bool starts_picture(const RtpView& rtp);

  Av1State av1_;  // its descriptors serve every codec
  std::uint32_t last_timestamp_ = 0;
  bool has_timestamp_ = false;
  bool sends_sps_ = false;
};

}  // namespace parley
