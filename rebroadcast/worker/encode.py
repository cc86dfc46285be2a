"""Encoders and muxing of a program, made for live use: nothing that goes in is held back."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, Literal

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from media.mixer import SAMPLE_RATE, Samples

VIDEO_CLOCK: Final = 90_000
AAC_FRAME_SAMPLES: Final = 1024
_AAC_MEMORY_FRAMES: Final = 3
"""AAC windows overlap: so many frames after a sample may still hold some of it."""
_X264: Final = {
    "preset": "veryfast",
    "tune": "zerolatency",
    "forced-idr": "1",
    "bf": "0",
    "sc_threshold": "0",
}
"""Keyframes come where they are asked for."""
_VPX: Final = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
_FRAGMENT_FLAGS: Final = "empty_moov+default_base_moof+frag_keyframe+skip_trailer"


VideoCodec = Literal["h264", "vp8"]


class EncodeError(Exception):
    """Parameters or a picture that H.264 cannot be made or muxed from."""

    code = "cannot_encode"


@dataclass(frozen=True, slots=True, eq=False)
class VideoFormat:
    """What a decoder must know before the first picture; frames of one format follow each other freely."""

    parameters: bytes
    """SPS and PPS in Annex B form."""
    stream: VideoStream = field(repr=False)
    """A stream that muxers copy."""
    owner: InputContainer | OutputContainer = field(repr=False)
    """Keeps the stream alive."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.stream.width, self.stream.height

    @classmethod
    def of_keyframe(cls, parameters: bytes, keyframe: bytes) -> "VideoFormat":
        """The format of a stream that somebody else encoded, from its first picture without `parameters`.

        Raises:
            EncodeError: that is no H.264.
        """
        try:
            container = av.open(io.BytesIO(parameters + keyframe), "r", format="h264")
            stream = container.streams.video[0]
        except (av.FFmpegError, IndexError) as error:
            raise EncodeError("the publisher's keyframe is no H.264") from error
        if not stream.width or not stream.height:
            raise EncodeError("the publisher's parameter sets give no picture size")
        return cls(parameters, stream, container)


@dataclass(frozen=True, slots=True)
class EncodedVideo:
    """One access unit in Annex B form; decoding order is presentation order."""

    data: bytes
    pts: int
    """In units of 1/VIDEO_CLOCK second since the program began."""
    duration: int
    is_keyframe: bool
    format: VideoFormat


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """One raw AAC frame of AAC_FRAME_SAMPLES samples."""

    data: bytes
    pts: int
    """In samples since the program began."""


class VideoEncoder:
    """H.264 or VP8 without lookahead or B-frames. Used by one thread; encoding releases the GIL."""

    def __init__(
        self,
        *,
        width: int,
        height: int,
        fps: int,
        bps: int,
        profile: str = "main",
        codec: VideoCodec = "h264",
        clock_fps: int | None = None,
    ) -> None:
        """`clock_fps`: how many picture numbers a second has, `fps` if not given; `profile` is of H.264."""
        self._duration = VIDEO_CLOCK // fps
        self._clock_fps = clock_fps or fps
        # The encoder belongs to a container that writes nowhere: a stream is what other containers copy.
        rates = {"g": str(fps * 60), "maxrate": str(bps), "bufsize": str(bps)}
        self._stream: VideoStream
        if codec == "h264":
            self._nowhere = _nowhere("mp4")
            options = _X264 | rates | {"profile": profile}
            self._stream = self._nowhere.add_stream("libx264", rate=fps, options=options)
        else:
            self._nowhere = _nowhere("webm")
            self._stream = self._nowhere.add_stream("libvpx", rate=fps, options=_VPX | rates)
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base = Fraction(1, VIDEO_CLOCK)
        context.framerate = Fraction(fps, 1)
        context.bit_rate = bps
        context.thread_count = 1
        self._nowhere.start_encoding()
        parameters = bytes(context.extradata or b"") if codec == "h264" else b""
        self.format = VideoFormat(parameters, self._stream, self._nowhere)
        """The one format of everything that this encoder makes."""

    def encode(self, frame: av.VideoFrame, index: int, *, is_keyframe: bool) -> Iterator[EncodedVideo]:
        """Encodes the picture with number `index` since the program began, as an IDR when asked."""
        frame.pts = index * VIDEO_CLOCK // self._clock_fps
        frame.time_base = Fraction(1, VIDEO_CLOCK)
        frame.pict_type = PictureType.I if is_keyframe else PictureType.NONE
        for packet in self._stream.encode(frame):
            pts = packet.pts or 0
            yield EncodedVideo(bytes(packet), pts, self._duration, packet.is_keyframe, self.format)

    def close(self) -> None:
        """Frees the encoder."""
        self._nowhere.close()


class AudioEncoder:
    """AAC, 48 kHz stereo. Used by one thread; encoding releases the GIL."""

    def __init__(self, *, bps: int) -> None:
        self._nowhere = _nowhere()
        self.stream: AudioStream = self._nowhere.add_stream("aac", rate=SAMPLE_RATE)
        """A stream that muxers copy."""
        context = self.stream.codec_context
        context.layout = "stereo"
        context.format = "fltp"
        context.bit_rate = bps
        self._nowhere.start_encoding()
        self.parameters = bytes(context.extradata or b"")
        """The AudioSpecificConfig."""
        self._waiting: list[Samples] = []
        self._waiting_samples = 0
        self._at = 0
        self._to_drop = 0

    def encode(self, samples: Samples) -> Iterator[EncodedAudio]:
        """Encodes the next samples, shape (n, 2); they are gathered to whole AAC frames."""
        self._waiting.append(samples)
        self._waiting_samples += len(samples)
        if self._waiting_samples < AAC_FRAME_SAMPLES:
            return
        gathered = np.concatenate(self._waiting)
        whole = len(gathered) // AAC_FRAME_SAMPLES * AAC_FRAME_SAMPLES
        self._waiting = [gathered[whole:]]
        self._waiting_samples = len(gathered) - whole
        for start in range(0, whole, AAC_FRAME_SAMPLES):
            planes = np.ascontiguousarray(gathered[start : start + AAC_FRAME_SAMPLES].T)
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
            frame.sample_rate = SAMPLE_RATE
            frame.pts = self._at
            frame.time_base = Fraction(1, SAMPLE_RATE)
            self._at += AAC_FRAME_SAMPLES
            for packet in self.stream.encode(frame):
                if self._to_drop:
                    self._to_drop -= 1
                elif packet.pts is not None and packet.pts >= 0:  # the encoder's priming comes before 0
                    yield EncodedAudio(bytes(packet), packet.pts)

    def forget(self) -> None:
        """Takes back all sound that went in before a cut: what waits, and what the encoder still holds."""
        self._waiting = [np.zeros_like(samples) for samples in self._waiting]
        self._to_drop = _AAC_MEMORY_FRAMES

    def close(self) -> None:
        """Frees the encoder."""
        self._nowhere.close()


def _nowhere(format_name: Literal["mp4", "webm"] = "mp4") -> OutputContainer:
    options = {"movflags": _FRAGMENT_FLAGS} if format_name == "mp4" else {"live": "1"}
    return av.open(_Discard(), "w", format=format_name, options=options)


class _Discard:
    """A file that keeps nothing."""

    def write(self, data: bytes) -> int:
        return len(data)
