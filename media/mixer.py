"""Many voices into one: sources are laid on a common sample clock, summed and limited.

PURE but for numpy. 48 kHz, stereo, float32 in -1..1; arrays have shape (samples, 2).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE: Final = 48_000
CHANNELS: Final = 2
_CAPACITY: Final = 2 * SAMPLE_RATE
_JITTER_SAMPLES: Final = SAMPLE_RATE * 8 // 1000
"""Less than a packet of 10 ms or more: where one is missing, what follows is not to be laid in its place."""
_MARGIN: Final = SAMPLE_RATE * 40 // 1000
_AHEAD_MOST: Final = SAMPLE_RATE * 3 // 2
_OFF_FOR: Final = SAMPLE_RATE // 10
_IN_TIME_FOR: Final = SAMPLE_RATE
_CEILING: Final = 0.98
_RELEASE_S: Final = 0.3

Samples = NDArray[np.float32]


class _Playout:
    """Where one source's samples go, so that a source whose times are off is heard all the same.

    After a publisher's sound device stood still, its packets claim to be older than they are until the next
    sender report, seconds later: each would come too late for the mix. After `_OFF_FOR` of that the source is
    laid as much later as it takes; once it has been early for `_IN_TIME_FOR`, or pauses, it goes back. A
    burst after a stall of the network is late at one moment only and moves nothing. Times far ahead likewise.
    """

    def __init__(self) -> None:
        self._shift = 0
        self._off_since: int | None = None
        self._least_slack = 0
        self._watched_from: int | None = None

    def place(self, start: int, oldest: int, end: int) -> int:
        """Where samples that claim to begin at `start` are laid.

        The mix has come to `oldest`, and what is laid of this source to `end`.
        """
        is_hole = start + self._shift > end  # a pause, or a clock set right
        if self._shift > 0 and is_hole:
            self._shift = min(max(start, end, oldest + _MARGIN) - start, self._shift)
        slack = start + self._shift - oldest
        if 0 <= slack <= _AHEAD_MOST:
            self._off_since = None
            self._come_back(slack, oldest)
        elif slack < 0 and self._shift < 0:
            self._shift = min(self._shift + _MARGIN - slack, 0)
        else:
            self._off_since = oldest if self._off_since is None else self._off_since
            if oldest - self._off_since >= _OFF_FOR:
                lead = max(_MARGIN, end - oldest) if slack < 0 else _MARGIN
                self._shift += lead - slack
                self._off_since = self._watched_from = None
        return start + self._shift

    def _come_back(self, slack: int, oldest: int) -> None:
        if self._watched_from is None:
            self._least_slack, self._watched_from = slack, oldest
        self._least_slack = min(self._least_slack, slack)
        if oldest - self._watched_from >= _IN_TIME_FOR:
            if self._shift > 0 and self._least_slack > 2 * _MARGIN:
                self._shift = max(self._shift - self._least_slack + _MARGIN, 0)
            self._watched_from = None


class _Source:
    """A ring of one source's samples, by absolute sample number."""

    def __init__(self) -> None:
        self._ring = np.zeros((_CAPACITY, CHANNELS), dtype=np.float32)
        self._end: int | None = None
        self._playout = _Playout()
        self._wanted_gain = self._gain = 1.0

    def push(self, start: int, samples: Samples, oldest: int) -> None:
        start = self._playout.place(start, oldest, self._end or oldest)
        if self._end is not None and abs(start - self._end) <= _JITTER_SAMPLES:
            start = self._end  # clock jitter of a few milliseconds is no gap: splicing there would click
        if start < oldest:
            samples = samples[oldest - start :]
            start = oldest
        samples = samples[: max(oldest + _CAPACITY - start, 0)]
        if not len(samples):
            return
        end = start + len(samples)
        self._ring[np.arange(start, end) % _CAPACITY] = samples
        if self._end is not None and self._end > end:  # the source went back
            self._ring[np.arange(end, self._end) % _CAPACITY] = 0.0
        self._end = end

    def aim_at(self, gain: float) -> None:
        self._wanted_gain = gain
        if self._end is None:
            self._gain = gain

    def add_to(self, mix: Samples, start: int) -> None:
        """Adds what lies at `start` to a mix and frees its place; a new gain is reached within the mix."""
        if self._end is None or self._end <= start:
            self._gain = self._wanted_gain
            return
        index = np.arange(start, start + len(mix)) % _CAPACITY
        taken = self._ring[index]
        self._ring[index] = 0.0
        if self._gain != self._wanted_gain:
            taken *= np.linspace(self._gain, self._wanted_gain, len(mix), dtype=np.float32)[:, None]
            self._gain = self._wanted_gain
        elif self._gain != 1.0:
            taken *= np.float32(self._gain)
        mix += taken


class Limiter:
    """Keeps a mix below full scale without delaying it, and leaves what is below untouched to the bit.

    The gain falls with the very sample that would be too loud and comes back over `_RELEASE_S`, so that a
    wave's next peaks pass in their own shape.
    """

    def __init__(self) -> None:
        self._envelope = _CEILING

    def limit(self, mix: Samples) -> Samples:
        """The same samples with no value above the ceiling."""
        if not len(mix):
            return mix
        peaks = np.max(np.abs(mix), axis=1)
        if self._envelope <= _CEILING and float(peaks.max()) <= _CEILING:
            self._envelope = _CEILING
            return mix
        # envelope[n] = max(peak[n], envelope[n-1] * decay), for all n at once
        decay = np.exp(np.arange(1, len(mix) + 1) * (-1 / (_RELEASE_S * SAMPLE_RATE)))
        scaled = np.maximum.accumulate(np.maximum(peaks / decay, self._envelope))
        envelope = np.maximum(scaled * decay, _CEILING)
        self._envelope = float(envelope[-1])
        limited: Samples = (mix * (_CEILING / envelope)[:, None]).astype(np.float32)
        return limited


class Mixer:
    """Sums sources on one clock. Missing samples are silence, and so are late ones; overload is limited.

    A source that stays late is laid later as a whole. Each source has a gain, 1 unless it is set.
    """

    def __init__(self) -> None:
        self._sources: dict[int, _Source] = {}
        self._position = 0
        self._limiter = Limiter()

    @property
    def position(self) -> int:
        """The absolute number of the next sample that `pull` gives."""
        return self._position

    def push(self, source: int, start: int, samples: Samples) -> None:
        """Lays samples at absolute sample number `start`."""
        self._sources.setdefault(source, _Source()).push(start, samples, self._position)

    def set_gain(self, source: int, gain: float) -> None:
        """Multiplies a source from the next `pull` on, also what it has pushed already; 0 is silence."""
        self._sources.setdefault(source, _Source()).aim_at(gain)

    def remove(self, source: int) -> None:
        """Forgets a source at once, with all that it had pushed; an unknown one is fine."""
        self._sources.pop(source, None)

    def pull(self, count: int) -> Samples:
        """The next `count` samples of the mix."""
        mix = np.zeros((count, CHANNELS), dtype=np.float32)
        for source in self._sources.values():
            source.add_to(mix, self._position)
        self._position += count
        return self._limiter.limit(mix)
