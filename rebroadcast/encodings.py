"""What a destination may ask of a program's picture, and what that comes to. PURE.

A bounded set: whoever asks for the same gets the same encoding, and a program makes few.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rebroadcast.errors import BroadcastInvalid
from rebroadcast.types import EncodingWish, RebroadcastConfig
from rebroadcast.worker.messages import Encoding

HEIGHTS: Final = (90, 1080)
"""Pixels; the width follows from the configured shape of the picture."""
BPS: Final = (50_000, 20_000_000)
RENDITIONS_MOST: Final = 4
"""Of one HLS destination."""
ENCODINGS_MOST: Final = 6
"""Of one program."""
_CODECS: Final = {"rtmp": ("h264",), "srt": ("h264",), "hls": ("h264",), "whip": ("h264", "vp8")}
_GRAIN_BPS: Final = 10_000
_SMALLER: Final = 0.75
"""A picture of half the pixels needs more than half the bits."""


def checked(kind: str, wishes: Sequence[EncodingWish], config: RebroadcastConfig) -> None:
    """Checks what a destination of that kind asks for.

    Raises:
        BroadcastInvalid: that cannot be made; the text says what can.
    """
    most = RENDITIONS_MOST if kind == "hls" else 1
    if len(wishes) > most:
        raise BroadcastInvalid(f"a destination of kind {kind} takes up to {most} encodings")
    for wish in wishes:
        _within("height", wish.height, *HEIGHTS)
        _within("fps", wish.fps, 1, config.fps)
        _within("video_bps", wish.video_bps, *BPS)
        if wish.height is not None and wish.height % 2:
            raise BroadcastInvalid("the height of an encoding is even")
        if wish.codec not in _CODECS[kind]:
            known = " or ".join(_CODECS[kind])
            raise BroadcastInvalid(f"kind {kind} takes the codec {known}, not {wish.codec[:20]!r}")
    if len(set(resolved(wishes, config))) != len(wishes):
        raise BroadcastInvalid("each encoding of a destination is another one")


def resolved(wishes: Iterable[EncodingWish], config: RebroadcastConfig) -> tuple[Encoding, ...]:
    """What the wishes come to: what they leave open is as configured."""
    return tuple(_encoding(wish, config) for wish in wishes)


def default_encoding(config: RebroadcastConfig) -> Encoding:
    """What goes to a destination that asks for nothing."""
    return Encoding(config.width, config.height, config.fps, config.video_bps)


def check_few(encodings: Iterable[Encoding]) -> None:
    """Checks what all destinations of one program ask for together.

    Raises:
        BroadcastInvalid: too many different encodings.
    """
    different = set(encodings)
    if len(different) > ENCODINGS_MOST:
        raise BroadcastInvalid(
            f"the destinations ask for {len(different)} different encodings, a program makes up to "
            f"{ENCODINGS_MOST}: let some of them share one"
        )


def wishes_of(stored: Iterable[Mapping[str, Any]]) -> tuple[EncodingWish, ...]:
    """Wishes as a destination's row keeps them."""
    return tuple(EncodingWish(**wish) for wish in stored)


def _encoding(wish: EncodingWish, config: RebroadcastConfig) -> Encoding:
    height = wish.height or config.height
    width = config.width if height == config.height else round(height * config.width / config.height / 2) * 2
    fps = wish.fps or config.fps
    bps = wish.video_bps
    if bps is None:
        share = width * height * fps / (config.width * config.height * config.fps)
        bps = max(round(config.video_bps * share**_SMALLER / _GRAIN_BPS) * _GRAIN_BPS, BPS[0])
        if share == 1:
            bps = config.video_bps
    return Encoding(width, height, fps, bps, "vp8" if wish.codec == "vp8" else "h264")


def _within(what: str, value: int | None, low: int, high: int) -> None:
    if value is not None and not low <= value <= high:
        raise BroadcastInvalid(f"{what} of an encoding is {low} to {high}, not {value}")
