"""What depayloading gives, one encoded frame, and the root of the payload parsers' errors. PURE."""

from dataclasses import dataclass
from typing import Literal

CodecName = Literal["opus", "red", "vp8", "vp9", "h264", "av1"]
"""Codec names as the media core writes them."""

FRAME_MAX_BYTES = 8 << 20
"""No frame is assembled above this; a 4K keyframe stays far below."""


class PayloadError(ValueError):
    """A payload does not follow its RFC; each payload module raises its own subclass only."""

    code = "payload_malformed"

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"payload byte {offset}: {reason}")
        self.offset = offset
        self.reason = reason


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One frame as a decoder and a muxer take it."""

    data: bytes
    """VP8, VP9: the frame (VP9: superframe when several spatial layers came). H.264: Annex B with 4-byte
    start codes. AV1: OBUs with size fields, no temporal delimiter. Opus: one packet."""
    is_keyframe: bool
    """Whether decoding can start here. Always true for audio."""
    width: int = 0
    """Pixels; known on keyframes (H.264, AV1: when the parameters came with it), else 0."""
    height: int = 0
    parameters: bytes = b""
    """H.264: SPS and PPS in Annex B; AV1: the sequence header OBU; empty when this frame carried none."""
    samples: int = 0
    """Audio: duration at 48 kHz; 0 for video."""
