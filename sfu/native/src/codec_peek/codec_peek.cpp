#include "codec_peek.h"

#include "h264.h"
#include "opus.h"
#include "red.h"
#include "vp8.h"
#include "vp9.h"

namespace parley {

PayloadInfo CodecPeek::peek(Codec codec, const RtpView& rtp, const ExtensionTable& extensions) {
  PayloadInfo info = peek_payload(codec, rtp, extensions);
  if (info.valid && is_video(codec)) {
    add_frame_number(extensions.get(rtp, Extension::kDependencyDescriptor), info);
  }
  return info;
}

PayloadInfo CodecPeek::peek_payload(Codec codec, const RtpView& rtp, const ExtensionTable& extensions) {
  if (rtp.payload_size == 0) {
    PayloadInfo info;
    info.valid = codec != Codec::kUnknown;
    return info;
  }
  switch (codec) {
    case Codec::kOpus:
      return peek_opus(rtp.payload());
    case Codec::kRed:
      return peek_red(rtp.payload());
    case Codec::kVp8:
      return with_layers(peek_vp8(rtp.payload(), rtp.marker), rtp, extensions);
    case Codec::kVp9:
      return peek_vp9(rtp.payload(), rtp.marker);
    case Codec::kH264:
      return with_layers(peek_h264_frame(rtp), rtp, extensions);
    case Codec::kAv1:
      return peek_av1(rtp.payload(), rtp.marker, extensions.get(rtp, Extension::kDependencyDescriptor), av1_);
    case Codec::kUnknown:
      break;
  }
  return {};
}

PayloadInfo CodecPeek::with_layers(PayloadInfo info, const RtpView& rtp, const ExtensionTable& extensions) {
  if (info.valid && !info.picture.has_tid_keyidx) {
    add_temporal_layer(extensions.get(rtp, Extension::kDependencyDescriptor), av1_.descriptors, info);
  }
  return info;
}

PayloadInfo CodecPeek::peek_h264_frame(const RtpView& rtp) {
  PayloadInfo info = peek_h264(rtp.payload(), rtp.marker);
  if (!info.valid) {
    return info;
  }
  // H.264 marks no frame start in the packet: the first packet with a new timestamp is one.
  info.frame_start = starts_picture(rtp);
  // Where parameter sets come in band, an IDR slice without them is no place to start decoding.
  sends_sps_ = sends_sps_ || info.has_sps;
  info.keyframe_start = info.has_sps || (info.keyframe_start && !sends_sps_);
  return info;
}

bool CodecPeek::starts_picture(const RtpView& rtp) {
  const bool is_new = !has_timestamp_ || rtp.timestamp != last_timestamp_;
  last_timestamp_ = rtp.timestamp;
  has_timestamp_ = true;
  return is_new;
}

PayloadInfo CodecPeek::peek_encrypted(const RtpView& rtp, const ExtensionTable& extensions) {
  PayloadInfo info;
  info.valid = true;
  if (rtp.payload_size == 0) {
    return info;
  }
  const Bytes descriptor = extensions.get(rtp, Extension::kDependencyDescriptor);
  if (const auto told = peek_descriptor(rtp.marker, descriptor, av1_.descriptors)) {
    info = *told;
  } else {
    info.is_opaque = true;
    info.frame_start = starts_picture(rtp);
    info.frame_end = rtp.marker;
  }
  add_frame_number(descriptor, info);
  return info;
}

}  // namespace parley
