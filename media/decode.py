"""Decoders for composing: encoded frames in, pictures and sound out. Each belongs to one thread."""

from typing import Final

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from media.frame import CodecName, EncodedFrame
from media.mixer import SAMPLE_RATE, Samples

_DECODERS: Final[dict[str, str]] = {"vp8": "vp8", "vp9": "vp9", "h264": "h264", "av1": "libdav1d"}
"""FFmpeg's own where it has one: they refuse sizes beyond `max_pixels` before they allocate."""
PICTURE_MAX_PIXELS: Final = 4096 * 2304


class DecodeError(Exception):
    """A codec that cannot be decoded here."""

    code = "cannot_decode"


class VideoDecoder:
    """Pictures of one track. Broken input costs pictures, never an exception: it comes from strangers."""

    def __init__(self, codec: CodecName) -> None:
        name = _DECODERS.get(codec)
        if name is None:
            raise DecodeError(f"no decoder for {codec}")
        self.codec = codec
        self._name = name
        self._needs_keyframe = True
        self._context = self._open()

    @property
    def needs_keyframe(self) -> bool:
        """Whether nothing can be shown before the next keyframe."""
        return self._needs_keyframe

    def decode(self, frame: EncodedFrame) -> av.VideoFrame | None:
        """The newest picture that the frame gives, if any."""
        if self._needs_keyframe and not frame.is_keyframe:
            return None
        if frame.width * frame.height > PICTURE_MAX_PIXELS:
            self.reset()
            return None
        try:
            pictures = self._context.decode(av.Packet(frame.data))
        except av.FFmpegError:
            self.reset()
            return None
        self._needs_keyframe = False
        return pictures[-1] if pictures else None

    def reset(self) -> None:
        """Starts afresh: after a gap, or input that the decoder refused."""
        self._context = self._open()
        self._needs_keyframe = True

    def _open(self) -> VideoCodecContext:
        context = av.CodecContext.create(self._name, "r")
        if not isinstance(context, VideoCodecContext):
            raise DecodeError(f"{self._name} is no video decoder")
        context.thread_count = 1
        context.options = {"max_pixels": str(PICTURE_MAX_PIXELS)}
        return context


class OpusDecoder:
    """Sound of one track as 48 kHz stereo."""

    def __init__(self) -> None:
        self._context = av.CodecContext.create("libopus", "r")

    def decode(self, frame: EncodedFrame) -> Samples:
        """The frame's samples, shape (n, 2); broken input is silence of its own length."""
        try:
            frames = self._context.decode(av.Packet(frame.data))
        except av.FFmpegError:
            return np.zeros((frame.samples, 2), dtype=np.float32)
        return np.concatenate([_stereo(f) for f in frames if isinstance(f, av.AudioFrame)] or [_EMPTY])


_EMPTY: Final[Samples] = np.zeros((0, 2), dtype=np.float32)


def _stereo(frame: av.AudioFrame) -> Samples:
    """A decoder's frame as float32 of shape (n, 2)."""
    if frame.sample_rate != SAMPLE_RATE:
        return _EMPTY
    data = np.asarray(frame.to_ndarray())
    channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        data = data.reshape(-1, channels).T
    if data.dtype == np.int16:
        data = data.astype(np.float32) / 32768.0
    left, right = data[0], data[min(1, channels - 1)]
    return np.stack((left, right), axis=1).astype(np.float32)
