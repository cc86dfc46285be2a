"""What a picture shows and a sound holds: the colours of a frame's parts, the tones of samples."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import av
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Sound = NDArray[np.float32]
Source = str | Path | IO[bytes]

RATE: Final = 48_000
_NONE: Final[Sound] = np.zeros(0, dtype=np.float32)


def pictures(path_or_file: Source, *, size: tuple[int, int] | None = None) -> Iterator[tuple[float, Picture]]:
    """(seconds, RGB array) of each picture of a file; `size`: (width, height) to scale it to."""
    width, height = size or (None, None)
    with av.open(path_or_file, "r") as container:
        for frame in container.decode(video=0):
            yield frame.time or 0.0, rgb(frame.reformat(width, height, format="rgb24"))


def colours(path_or_file: Source) -> list[Picture]:
    """RGB pictures of a file's video, as arrays."""
    return [picture for _, picture in pictures(path_or_file)]


def share_of_colour(picture: Picture, rgb: tuple[int, int, int], tolerance: int = 40) -> float:
    """Which part of a picture's pixels has about this colour, 0..1."""
    distance = np.abs(picture.astype(np.int16) - np.array(rgb, dtype=np.int16)).max(axis=2)
    return float((distance < tolerance).mean())


class Mono:
    """Turns decoded audio frames into mono float at RATE."""

    def __init__(self) -> None:
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)

    def samples(self, frame: av.AudioFrame) -> Sound:
        """What has come of this frame."""
        return np.concatenate(
            [out.to_ndarray().reshape(-1) for out in self._resampler.resample(frame)] or [_NONE]
        )


def sounds(path_or_file: Source) -> Iterator[tuple[float, Sound]]:
    """(seconds, samples as mono float at RATE) of each piece of a file's sound."""
    with av.open(path_or_file, "r") as container:
        mono = Mono()
        for frame in container.decode(audio=0):
            yield frame.time or 0.0, mono.samples(frame)


def samples(path_or_file: Source) -> Sound:
    """A file's sound as mono float at RATE, without regard to its times."""
    return np.concatenate([_NONE, *(piece for _, piece in sounds(path_or_file))])


def tone_level(sound: Sound, hz: float, *, rate: int = RATE) -> float:
    """Amplitude of one tone in a sound, by correlation over the whole of it."""
    if not len(sound):
        return 0.0
    t = np.arange(len(sound)) / rate
    window = np.hanning(len(sound))
    return float(2 * np.abs(np.sum(sound * window * np.exp(-2j * np.pi * hz * t))) / np.sum(window))


def loudest(sound: Sound, hz: float, window_s: float) -> float:
    """The largest amplitude that a tone has in any window of a sound; windows overlap by half."""
    return max(tone_level(window, hz) for window in windows(sound, window_s))


def windows(sound: Sound, window_s: float) -> list[Sound]:
    """A sound in windows that overlap by half; all of it when it is shorter than one."""
    size = int(window_s * RATE)
    starts = range(0, max(len(sound) - size, 0) + 1, size // 2)
    return [sound[start : start + size] for start in starts]


def rgb(frame: av.VideoFrame) -> Picture:
    """An RGB frame as an array."""
    return frame.to_ndarray().astype(np.uint8, copy=False)
