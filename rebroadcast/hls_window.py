"""The live window of one HLS output, held in memory, from which a person can be cut at once.

PURE. The program process makes fragments; this window lives in the server process, beside the consent
service, so that a revocation needs no message to take a segment back. Names carry a number that only grows: a
number behind the window was served once and is gone (410), a number ahead of it never existed (404).

Source: RFC 8216, sections 4.3 and 6.2.
"""

import math
import re
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from rebroadcast.worker.messages import HLS_SEGMENT_MAX_BYTES

PLAYLIST: Final = "index.m3u8"
WINDOW_SEGMENTS: Final = 6
KEPT_SEGMENTS: Final = 9

_SEGMENT_NAME: Final = re.compile(r"seg-(\d{1,12})\.m4s")
_INIT_NAME: Final = re.compile(r"init-(\d{1,12})\.mp4")


class HlsError(ValueError):
    """A segment that does not fit the window."""

    code = "bad_hls_segment"


class Missing(Enum):
    """Why a name has no bytes."""

    GONE = auto()
    """It was there and has been taken away, or slid out of the window: 410."""
    UNKNOWN = auto()
    """It never was: 404."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One media segment: whole `moof`/`mdat` pairs that begin with a keyframe."""

    number: int
    init: int
    duration_s: float
    data: bytes
    persons: frozenset[str]
    """Random ids of everyone whose picture, sound, name or chat is in it."""
    is_discontinuity: bool


class HlsWindow:
    """Segments in, playlist out; `cut` takes a person back."""

    def __init__(self, *, segment_s: float) -> None:
        self._target_s = math.ceil(segment_s)
        self._segments: deque[Segment] = deque()
        self._inits: dict[int, bytes] = {}
        self._next_segment = 0
        self._next_init = 0
        self._discontinuities_passed = 0
        self._is_next_discontinuity = False

    @property
    def is_empty(self) -> bool:
        """Whether a player would find nothing to play."""
        return not self._segments

    def start_part(self, init: bytes) -> None:
        """Takes a new initialisation segment; the next media segment begins a discontinuity unless first."""
        self._inits[self._next_init] = init
        self._next_init += 1
        self._is_next_discontinuity = self._next_segment > 0
        self._drop_unused_inits()

    def add(self, data: bytes, *, duration_s: float, persons: frozenset[str]) -> Segment:
        """Takes the next media segment of the newest part and slides the window.

        Raises:
            HlsError: no part was started, or more than HLS_SEGMENT_MAX_BYTES.
        """
        if not self._inits:
            raise HlsError("a segment without an initialisation segment")
        if len(data) > HLS_SEGMENT_MAX_BYTES:
            raise HlsError(f"a segment of {len(data)} bytes; {HLS_SEGMENT_MAX_BYTES} are allowed")
        segment = Segment(
            self._next_segment, self._next_init - 1, duration_s, data, persons, self._is_next_discontinuity
        )
        self._next_segment += 1
        self._is_next_discontinuity = False
        self._segments.append(segment)
        self._target_s = max(self._target_s, round(duration_s))
        while len(self._segments) > KEPT_SEGMENTS:
            self._drop_first()
        return segment

    def cut(self, person: str) -> int:
        """Drops every segment up to the last one that holds `person`; returns how many went."""
        return self._drop_through(max((s.number for s in self._segments if person in s.persons), default=-1))

    def clear(self) -> int:
        """Drops every segment: nobody can tell any more who is in them; returns how many went."""
        return self._drop_through(self._next_segment)

    def _drop_through(self, last: int) -> int:
        dropped = 0
        while self._segments and self._segments[0].number <= last:
            self._drop_first()
            dropped += 1
        if dropped:
            self._is_next_discontinuity = True
        return dropped

    def get(self, name: str) -> bytes | Missing:
        """The bytes of a playlist, initialisation segment or media segment."""
        if name == PLAYLIST:
            return self.playlist().encode()
        if match := _SEGMENT_NAME.fullmatch(name):
            number = int(match[1])
            for segment in self._segments:
                if segment.number == number:
                    return segment.data
            return Missing.GONE if number < self._next_segment else Missing.UNKNOWN
        if match := _INIT_NAME.fullmatch(name):
            number = int(match[1])
            missing = Missing.GONE if number < self._next_init else Missing.UNKNOWN
            return self._inits.get(number, missing)
        return Missing.UNKNOWN

    def playlist(self) -> str:
        """The media playlist as of now."""
        shown = list(self._segments)[-WINDOW_SEGMENTS:]
        hidden = [s for s in self._segments if shown and s.number < shown[0].number]
        first = shown[0].number if shown else self._next_segment
        passed = self._discontinuities_passed + sum(s.is_discontinuity for s in hidden)
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:7",
            f"#EXT-X-TARGETDURATION:{self._target_s}",
            f"#EXT-X-MEDIA-SEQUENCE:{first}",
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{passed}",
            "#EXT-X-INDEPENDENT-SEGMENTS",
        ]
        init = None
        for segment in shown:
            if segment.is_discontinuity:
                lines.append("#EXT-X-DISCONTINUITY")
            if segment.init != init:
                init = segment.init
                lines.append(f'#EXT-X-MAP:URI="init-{init}.mp4"')
            lines += [f"#EXTINF:{segment.duration_s:.5f},", f"seg-{segment.number}.m4s"]
        return "\n".join(lines) + "\n"

    def _drop_first(self) -> None:
        gone = self._segments.popleft()
        self._discontinuities_passed += gone.is_discontinuity
        self._drop_unused_inits()

    def _drop_unused_inits(self) -> None:
        used = {segment.init for segment in self._segments} | {self._next_init - 1}
        for number in [number for number in self._inits if number not in used]:
            del self._inits[number]
