"""Many voices into one: sources are laid on a common sample clock, summed and limited.

PURE but for numpy. 48 kHz, stereo, float32 in -1..1; arrays have shape (samples, 2).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE: Final = 48_000
CHANNELS: Final = 2
_CAPACITY: Final = 2 * SAMPLE_RATE
_JITTER_SAMPLES: Final = SAMPLE_RATE * 40 // 1000

Samples = NDArray[np.float32]


class _Source:
    """A ring of one source's samples, by absolute sample number."""

    def __init__(self) -> None:
        self._ring = np.zeros((_CAPACITY, CHANNELS), dtype=np.float32)
        self._end: int | None = None

    def push(self, start: int, samples: Samples, oldest: int) -> None:
        if self._end is not None and abs(start - self._end) <= _JITTER_SAMPLES:
            start = self._end  # clock jitter of a few milliseconds is no gap: splicing there would click
        if start < oldest:
            samples = samples[oldest - start :]
            start = oldest
        samples = samples[: max(oldest + _CAPACITY - start, 0)]
        if not len(samples):
            return
        index = np.arange(start, start + len(samples)) % _CAPACITY
        self._ring[index] = samples
        self._end = start + len(samples)

    def take(self, start: int, count: int) -> Samples:
        index = np.arange(start, start + count) % _CAPACITY
        taken = self._ring[index]
        self._ring[index] = 0.0
        return taken


class Mixer:
    """Sums sources on one clock. Late samples are dropped, missing ones are silence, overload is limited."""

    def __init__(self) -> None:
        self._sources: dict[int, _Source] = {}
        self._position = 0
        self._gain = 1.0

    @property
    def position(self) -> int:
        """The absolute number of the next sample that `pull` gives."""
        return self._position

    def push(self, source: int, start: int, samples: Samples) -> None:
        """Lays samples at absolute sample number `start`; a new source begins with its first push."""
        self._sources.setdefault(source, _Source()).push(start, samples, self._position)

    def remove(self, source: int) -> None:
        """Forgets a source at once, with all that it had pushed; an unknown one is fine."""
        self._sources.pop(source, None)

    def pull(self, count: int) -> Samples:
        """The next `count` samples of the mix."""
        mix = np.zeros((count, CHANNELS), dtype=np.float32)
        for source in self._sources.values():
            mix += source.take(self._position, count)
        self._position += count
        return self._limited(mix)

    def _limited(self, mix: Samples) -> Samples:
        """Turns the whole mix down when it would clip, at once, and up again over about a second."""
        peak = float(np.max(np.abs(mix))) if len(mix) else 0.0
        wanted = min(1.0, 0.98 / peak) if peak > 0 else 1.0
        recovery = len(mix) / SAMPLE_RATE
        target = wanted if wanted < self._gain else min(wanted, self._gain + recovery)
        ramp = np.linspace(self._gain, target, len(mix), dtype=np.float32)[:, None]
        self._gain = target
        limited: Samples = np.clip(mix * ramp, -1.0, 1.0).astype(np.float32)
        return limited
