"""Fragments of media files as bytes, made at once from the frames they hold. PURE.

A muxer here holds nothing back: the frames of an open fragment belong to its owner, who discards them on a
cut, and a fragment can be closed at any time, also when no further frame comes. (PyAV's muxers have no flush
for a single fragment: an idle screen share would leave its last frame in their memory. They write the
finished files instead: `media.remux`.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from media.frame import CodecName, EncodedFrame


class MuxError(ValueError):
    """The frames or the format cannot be written in this container."""

    code = "mux_error"


@dataclass(frozen=True, slots=True)
class TrackFormat:
    """What a file's header says; a change of it needs a new file."""

    codec: CodecName
    width: int = 0
    height: int = 0
    parameters: bytes = b""
    """As `EncodedFrame.parameters`: H.264 parameter sets, AV1 sequence header."""

    def accepts(self, frame: EncodedFrame) -> bool:
        """Whether a keyframe still fits this format; frames without a size or parameters do."""
        if frame.parameters and frame.parameters != self.parameters:
            return False
        return not frame.width or (frame.width, frame.height) == (self.width, self.height)


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame in a file."""

    data: bytes
    """As `EncodedFrame.data`."""
    time_ns: int
    """On the file's time line, 0 upward, growing from sample to sample."""
    is_keyframe: bool


class FragmentMuxer(Protocol):
    """Writes one track as a header and fragments."""

    extension: str
    """Of the file's name, without the dot."""

    def header(self) -> bytes:
        """What the file begins with."""
        ...

    def fragment(self, samples: Sequence[Sample], end_ns: int) -> bytes:
        """One whole fragment; `end_ns` is where its last sample ends. Raises: MuxError."""
        ...
