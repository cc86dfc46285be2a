"""Flash and beep: a white flash and a beep at the same instant of each second, and what became of them."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from bench.studio.decoded import RATE, Source, pictures, sounds
from bench.studio.encoded import encode_pictures, encode_sound

FPS: Final = 15
FLASH_PICTURES: Final = 2
BEEP_HZ: Final = 1_500
BEEP_MS: Final = 100
SECONDS: Final = 4
_WHITE: Final = 130
_LOUD: Final = 0.1
_STEP: Final = 48
"""Samples of which the loudest decides whether a beep has set in."""


def flash_and_beep(*, width: int = 320, height: int = 180) -> tuple[list[tuple[bytes, bool]], list[bytes]]:
    """VP8 frames and Opus packets of SECONDS seconds; each begins with a keyframe, a flash and a beep."""
    return _video(width, height), _audio()


def _video(width: int, height: int) -> list[tuple[bytes, bool]]:
    levels = (235 if index % FPS < FLASH_PICTURES else 30 for index in range(FPS * SECONDS))
    shown = [np.full((height, width, 3), level, dtype=np.uint8) for level in levels]
    return encode_pictures(shown, fps=FPS, keyframe_every=FPS)


def _audio() -> list[bytes]:
    t = np.arange(RATE * SECONDS) / RATE
    sound = np.where(t % 1.0 < BEEP_MS / 1000, 0.5 * np.sin(2 * np.pi * BEEP_HZ * t), 0.0)
    return encode_sound(sound.astype(np.float32), application="lowdelay")


def flash_times(source: Source) -> list[float]:
    """Seconds at which the picture turns white."""
    times, was_white = [], True
    for at, picture in pictures(source):
        is_white = bool(picture.mean() > _WHITE)
        if is_white and not was_white:
            times.append(at)
        was_white = is_white
    return times


def beep_times(source: Source) -> list[float]:
    """Seconds at which the beep sets in."""
    times: list[float] = []
    was_loud, last_loud = False, -1.0
    for start, sound in sounds(source):
        for offset in range(0, len(sound) - _STEP + 1, _STEP):
            is_loud = bool(np.abs(sound[offset : offset + _STEP]).max() > _LOUD)
            at = start + offset / RATE
            if is_loud and not was_loud and at - last_loud > 0.5:
                times.append(at)
            if is_loud:
                last_loud = at
            was_loud = is_loud
    return times


def av_offsets_ms(flashes: Sequence[float], beeps: Sequence[float]) -> list[float]:
    """(beep - flash) in ms of those that belong together. PURE.

    Raises:
        ValueError: none do.
    """
    pairs = [(beep - flash) * 1000 for flash in flashes for beep in beeps if abs(beep - flash) < 0.5]
    if not pairs:
        raise ValueError(f"no flash with its beep: {flashes[:5]} {beeps[:5]}")
    return pairs


def av_offset_ms(flashes: Sequence[float], beeps: Sequence[float]) -> float:
    """The median of `av_offsets_ms`. PURE."""
    return float(np.median(av_offsets_ms(flashes, beeps)))
