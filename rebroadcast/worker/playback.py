"""Recorded parts of one source of a person as inputs of a program, behind its gate.

They stand beside the inputs that read taps (`inputs`). Belongs to the program's thread.
"""

from collections import deque
from collections.abc import Generator
from typing import BinaryIO, Final

import av
import numpy as np
import structlog

from media.clock_map import SECOND_NS
from media.gates import GatePage
from media.mixer import SAMPLE_RATE, Mixer, Samples
from media.parts import VideoSource, sounds
from media.sealed import SealError
from rebroadcast.worker.feed import SOUND_LINGERS_NS
from rebroadcast.worker.handover import GivenPart, OpenPart
from rebroadcast.worker.messages import OpenTap

log = structlog.get_logger()

FRAMES_AT_ONCE: Final = 12
"""Pictures of one input that are decoded for one picture of the program; catching up takes several."""
_LEVEL_FALLS: Final = 0.9
_MILLISECOND_NS: Final = 1_000_000
_FAULTS: Final = (av.FFmpegError, SealError, OSError, ValueError, IndexError)


def tap_of(given: GivenPart) -> OpenTap:
    """What a part belongs to, as taps are named."""
    return OpenTap(
        given.tap,
        given.person,
        given.participant,
        "video" if given.kind == "video" else "audio",
        given.source,
        given.slot,
        given.version,
    )


class _Files:
    """Files that were handed over and are not read yet, by name."""

    def __init__(self) -> None:
        self._waiting: dict[str, BinaryIO] = {}

    def put(self, part: OpenPart) -> None:
        known = self._waiting.pop(part.given.name, None)
        if known is not None:
            known.close()
        self._waiting[part.given.name] = part.file

    def take(self, name: str) -> BinaryIO:
        """Raises: FileNotFoundError when it was read, or taken back."""
        try:
            return self._waiting.pop(name)
        except KeyError as error:
            raise FileNotFoundError(name) from error

    def close(self) -> None:
        for file in self._waiting.values():
            file.close()
        self._waiting.clear()


class PartVideo:
    """Pictures of recorded parts, shown at their time."""

    def __init__(self, given: GivenPart, page: GatePage) -> None:
        self.tap = tap_of(given)
        self.is_muted = False
        self._page = page
        self._begins_ns = given.begins_ns
        self._files = _Files()
        self._source = VideoSource((), (), self._files.take)

    def is_open(self) -> bool:
        """Whether the person's consent holds at this moment."""
        return self._page.is_open(self.tap.slot, self.tap.version)

    def add(self, part: OpenPart) -> None:
        """Takes one more part."""
        self._files.put(part)
        self._source.add(part.given, part.given.mutes)

    def picture(self, at_ns: int) -> av.VideoFrame | None:
        """The picture for that time; None when there is none to show."""
        at_ms = (at_ns - self._begins_ns) / _MILLISECOND_NS
        try:
            return self._source.picture(at_ms, frames_most=FRAMES_AT_ONCE)
        except _FAULTS as error:
            log.warning("part_unreadable", tap=self.tap.tap, reason=str(error))
            self._source.close()
            return None

    def discard(self) -> None:
        """Forgets every picture and closes every file."""
        self._source.close()
        self._source = VideoSource((), (), self._files.take)
        self._files.close()


class PartAudio:
    """Sound of recorded parts, laid on the program's sample clock as far as it is needed."""

    def __init__(self, given: GivenPart, page: GatePage) -> None:
        self.tap = tap_of(given)
        self._page = page
        self._begins_ns = given.begins_ns
        self._files = _Files()
        self._parts: deque[GivenPart] = deque()
        self._pieces: Generator[tuple[int, Samples], None, None] | None = None
        self._next: tuple[int, Samples] | None = None
        self._spoke_ns = -SOUND_LINGERS_NS
        self.level = 0.0
        """How loud it was of late, 0 to 1."""

    def is_open(self) -> bool:
        """Whether the person's consent holds at this moment."""
        return self._page.is_open(self.tap.slot, self.tap.version)

    def add(self, part: OpenPart) -> None:
        """Takes one more part."""
        self._files.put(part)
        self._parts = deque(sorted([*self._parts, part.given], key=lambda given: given.start_ms))

    def play(self, until: int, mixer: Mixer, origin_ns: int, now_ns: int) -> None:
        """Lays what begins before sample `until` in the mix; `origin_ns` is sample 0."""
        shift = (self._begins_ns - origin_ns) * SAMPLE_RATE // SECOND_NS
        self.level *= _LEVEL_FALLS
        while self.is_open() and (piece := self._piece(mixer.position - shift)) is not None:
            start, samples = piece[0] + shift, piece[1]
            if start >= until:
                return
            self._next = None
            if not len(samples) or start + len(samples) <= mixer.position:
                continue
            mixer.push(self.tap.tap, start, samples)
            self._spoke_ns = now_ns
            self.level = max(self.level, float(np.sqrt(np.mean(samples**2))))

    def is_heard(self, now_ns: int) -> bool:
        """Whether sound of this input may be in what is mixed now."""
        return now_ns - self._spoke_ns < SOUND_LINGERS_NS

    def discard(self) -> None:
        """Forgets every sample and closes every file."""
        self._end_part()
        self._parts.clear()
        self._files.close()

    def _piece(self, now: int) -> tuple[int, Samples] | None:
        """The next piece; None when there is none yet. `now`: the sample of the recording that is due."""
        while self._next is None:
            if self._pieces is None:
                if not self._parts:
                    return None
                part = self._parts.popleft()
                self._pieces = sounds(part, self._files.take, from_ms=now * 1000 / SAMPLE_RATE)
            try:
                self._next = next(self._pieces, None)
            except _FAULTS as error:
                log.warning("part_unreadable", tap=self.tap.tap, reason=str(error))
            if self._next is None:
                self._end_part()
        return self._next

    def _end_part(self) -> None:
        if self._pieces is not None:
            self._pieces.close()
        self._pieces = self._next = None
