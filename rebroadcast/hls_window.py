"""The live window of one HLS output, held in memory, from which a person can be cut at once.

PURE. The program process makes parts; this window lives in the server process, beside the consent service, so
that a revocation needs no message to take a part back. Names carry a number that only grows: a number behind
the window was served once and is gone (410), a number ahead of it never existed (404). A part costs the same
however long the window is; a playlist is made once for all who ask before the next part.

Source: RFC 8216 sections 4.3 and 6.2; draft-pantos-hls-rfc8216bis sections 4.4.4.9, 6.2.5 and B.1 (parts).
"""

import math
import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from itertools import islice
from typing import Final, NamedTuple

from rebroadcast.worker.messages import HLS_SEGMENT_MAX_BYTES

MEDIA_PLAYLIST: Final = "video.m3u8"
KEPT_MORE: Final = 3
"""Segments that are still served after they slid out of the playlist."""
_LISTED_WITH_PARTS: Final = 3
_SAME_S: Final = 0.001
"""Moments this close are the same keyframe."""

_SEGMENT_NAME: Final = re.compile(r"seg-(\d{1,12})\.m4s")
_PART_NAME: Final = re.compile(r"seg-(\d{1,12})-(\d{1,6})\.m4s")
_INIT_NAME: Final = re.compile(r"init-(\d{1,12})\.mp4")


class HlsError(ValueError):
    """A part that does not fit the window."""

    code = "bad_hls_segment"


class Missing(Enum):
    """Why a name has no bytes."""

    GONE = auto()
    """It was there and has been taken away, or slid out of the window: 410."""
    UNKNOWN = auto()
    """It never was: 404."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some frames of a segment: one `moof` with its `mdat`."""

    at_s: float
    """Where it begins, on the program's own clock."""
    duration_s: float
    data: bytes
    persons: frozenset[str]
    """Random ids of everyone whose picture, sound, name or chat is in it."""
    is_independent: bool
    """Whether it begins with a keyframe."""


class Place(NamedTuple):
    """Where a segment stands, in every rendition alike."""

    number: int = 0
    discontinuity: int = 0
    """Discontinuity sequence number."""


@dataclass(slots=True)
class Segment:
    """Parts from one keyframe to another."""

    number: int
    init: int
    is_discontinuity: bool
    origin_ms: int
    """Unix time from which the times of its parts count."""
    parts: list[Part] = field(default_factory=list)
    is_whole: bool = False
    duration_s: float = 0.0
    """Its length so far."""
    size: int = 0
    """Bytes so far."""
    lines: tuple[str, ...] = ()
    """What a playlist says of it once it is whole, without its parts."""

    @property
    def at_s(self) -> float:
        """Where it begins, on the program's own clock."""
        return self.parts[0].at_s

    def add(self, part: Part) -> None:
        """Takes the next part."""
        self.parts.append(part)
        self.duration_s += part.duration_s
        self.size += len(part.data)

    def holds(self, person: str) -> bool:
        """Whether that person is in any of its parts."""
        return any(person in part.persons for part in self.parts)


class HlsWindow:
    """Parts in, playlist out; `cut` takes a person back."""

    def __init__(
        self,
        *,
        segment_s: float,
        part_s: float,
        window_s: float,
        max_bytes: int,
        prefix: str = "",
        next_init: int = 0,
    ) -> None:
        """`window_s`: how far back a player can seek; `max_bytes`: of memory, whatever `window_s` says.

        `prefix`: what the names in the playlist begin with; `get` is asked without it. `next_init`: number of
        the first initialisation segment, behind those of a window whose names began the same.
        """
        self._prefix = prefix
        self._target_s = math.ceil(segment_s)
        self._part_target_s = part_s
        self._window_s = window_s
        self._max_bytes = max_bytes
        self._segments: deque[Segment] = deque()
        self._hidden = 0
        """Of the oldest segments: still served, not listed any more."""
        self._listed_s = 0.0
        """Length of the whole segments that are listed."""
        self._bytes = 0
        self._inits: dict[int, bytes] = {}
        self._next_segment = 0
        self._next_init = next_init
        self._has_begun = False
        self._discontinuities_passed = 0
        self._is_next_discontinuity = False
        self._origin_ms = 0
        self._playlist: bytes | None = None
        self.cuts = 0
        """How often something was taken back."""

    @property
    def is_empty(self) -> bool:
        """Whether a player would find nothing to play."""
        return not any(segment.is_whole for segment in self._segments)

    @property
    def is_bare(self) -> bool:
        """Whether there is no segment at all, an open one neither."""
        return not self._segments

    @property
    def edge(self) -> tuple[int, int]:
        """The segment and the part that come next."""
        segment = self._open()
        return (self._next_segment, 0) if segment is None else (segment.number, len(segment.parts))

    @property
    def next_init(self) -> int:
        """Number of the initialisation segment that comes next."""
        return self._next_init

    @property
    def next_place(self) -> Place:
        """Where the segment that begins next stands."""
        passed = self._discontinuities_passed + sum(segment.is_discontinuity for segment in self._segments)
        return Place(self._next_segment, passed + self._is_next_discontinuity)

    def place_at(self, at_ms: float) -> Place:
        """Where the segment stands that shows that moment (Unix time), the next one when none does."""
        found = self.next_place
        discontinuity = found.discontinuity - self._is_next_discontinuity
        for segment in reversed(self._segments):
            begins_ms = segment.origin_ms + 1000 * (segment.at_s - _SAME_S)
            ends_ms = begins_ms + 1000 * segment.duration_s
            if at_ms >= begins_ms and not (segment.is_whole and at_ms >= ends_ms):
                return Place(segment.number, discontinuity)
            if at_ms >= begins_ms:
                break
            found = Place(segment.number, discontinuity)
            discontinuity -= segment.is_discontinuity
        return found

    def go_on_at(self, place: Place) -> None:
        """While it is bare: the next segment stands there or later, as in other renditions."""
        if self._segments:
            return
        self._next_segment = max(self._next_segment, place.number)
        passed = place.discontinuity - self._is_next_discontinuity
        self._discontinuities_passed = max(self._discontinuities_passed, passed)
        self._playlist = None

    def limit(self, max_bytes: int) -> None:
        """Takes no more memory than that, from the next segment on."""
        self._max_bytes = max_bytes

    def start_part(self, init: bytes, *, origin_ms: int = 0) -> None:
        """Takes a new initialisation segment; the next media segment begins a discontinuity unless first."""
        open_one = self._open()
        if open_one is not None:
            self._end(open_one)
        if not self._segments or self._segments[-1].init != self._next_init - 1:
            self._inits.pop(self._next_init - 1, None)  # no segment is of it
        self._inits[self._next_init] = init
        self._next_init += 1
        self._is_next_discontinuity = self._has_begun
        self._origin_ms = origin_ms
        self._playlist = None

    def add(self, part: Part, *, ends_segment: bool) -> Segment:
        """Takes the next part, and slides the window when it ends its segment.

        Raises:
            HlsError: no initialisation segment came, or more than HLS_SEGMENT_MAX_BYTES.
        """
        if not self._inits:
            raise HlsError("a part without an initialisation segment")
        segment = self._open()
        if segment is None and not part.is_independent:
            raise HlsError("a segment that begins without a keyframe")
        if (segment.size if segment is not None else 0) + len(part.data) > HLS_SEGMENT_MAX_BYTES:
            if segment is not None:
                self._end(segment)
                self._is_next_discontinuity = True
            raise HlsError(f"a segment of more than {HLS_SEGMENT_MAX_BYTES} bytes")
        if segment is None:
            segment = self._begin()
        self._playlist = None
        segment.add(part)
        self._bytes += len(part.data)
        self._part_target_s = max(self._part_target_s, part.duration_s)
        if ends_segment:
            self._end(segment)
        return segment

    def last_with(self, person: str) -> int:
        """Number of the last segment that holds `person`; -1 when none does."""
        return next((s.number for s in reversed(self._segments) if s.holds(person)), -1)

    def cut(self, last: int) -> int:
        """Drops every segment up to that number; returns how many went."""
        return self._drop_through(last)

    def clear(self) -> int:
        """Drops every segment: nobody can tell any more who is in them; returns how many went."""
        return self._drop_through(self._next_segment)

    def segment(self, number: int) -> Segment | Missing:
        """A whole segment by its number."""
        found = self.begun(number)
        return found if isinstance(found, Missing) or found.is_whole else Missing.UNKNOWN

    def begun(self, number: int) -> Segment | Missing:
        """A segment by its number, the open one too."""
        found = self._find(number)
        return found if found is not None else self._missing(number)

    def get(self, name: str) -> bytes | Missing:
        """The bytes of a playlist, initialisation segment, media segment or part."""
        if name == MEDIA_PLAYLIST:
            if self._playlist is None:
                self._playlist = self.playlist().encode()
            return self._playlist
        if match := _PART_NAME.fullmatch(name):
            return self._part(int(match[1]), int(match[2]))
        if match := _SEGMENT_NAME.fullmatch(name):
            found = self.segment(int(match[1]))
            return found if isinstance(found, Missing) else b"".join(part.data for part in found.parts)
        if match := _INIT_NAME.fullmatch(name):
            number = int(match[1])
            missing = Missing.GONE if number < self._next_init else Missing.UNKNOWN
            return self._inits.get(number, missing)
        return Missing.UNKNOWN

    def is_hinted(self, name: str) -> bool:
        """Whether that name is what a player was told to ask for before it is there."""
        segment, part = self.edge
        return name == f"seg-{segment}-{part}.m4s"

    def listed(self) -> list[Segment]:
        """The segments that the playlist shows, the open one included."""
        return list(islice(self._segments, self._hidden, None))

    @property
    def target_s(self) -> int:
        """EXT-X-TARGETDURATION."""
        return self._target_s

    def heading(self, shown: list[Segment]) -> list[str]:
        """The lines that every rendition's playlist begins with."""
        first = shown[0].number if shown else self._next_segment
        hidden = islice(self._segments, self._hidden)
        passed = self._discontinuities_passed + sum(segment.is_discontinuity for segment in hidden)
        return [
            "#EXTM3U",
            "#EXT-X-VERSION:9",
            f"#EXT-X-TARGETDURATION:{self._target_s}",
            f"#EXT-X-MEDIA-SEQUENCE:{first}",
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{passed}",
        ]

    def playlist(self) -> str:
        """The media playlist as of now."""
        shown = self.listed()
        hold_s = 3 * self._part_target_s
        lines = [
            *self.heading(shown),
            "#EXT-X-INDEPENDENT-SEGMENTS",
            f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={hold_s:.3f}",
            f"#EXT-X-PART-INF:PART-TARGET={self._part_target_s:.3f}",
        ]
        init = None
        first_with_parts = len(shown) - _LISTED_WITH_PARTS
        for position, segment in enumerate(shown):
            if segment.is_discontinuity:
                lines.append("#EXT-X-DISCONTINUITY")
            if segment.init != init:
                init = segment.init
                lines.append(f'#EXT-X-MAP:URI="{self._prefix}init-{init}.mp4"')
            if position < first_with_parts:
                lines += segment.lines
            else:
                lines += self._lines(segment)
        # A hint of what will begin with another initialisation segment would be of the old one.
        if self._segments and not self._is_next_discontinuity:
            number, part = self.edge
            uri = f'URI="{self._prefix}seg-{number}-{part}.m4s"'
            lines.append(f"#EXT-X-PRELOAD-HINT:TYPE=PART,{uri}")
        return "\n".join(lines) + "\n"

    def _lines(self, segment: Segment, *, with_parts: bool = True) -> Iterator[str]:
        at = datetime.fromtimestamp(segment.origin_ms / 1000 + segment.at_s, UTC)
        yield f"#EXT-X-PROGRAM-DATE-TIME:{at.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}"
        for number, part in enumerate(segment.parts if with_parts else ()):
            independent = ",INDEPENDENT=YES" if part.is_independent else ""
            uri = f'URI="{self._prefix}seg-{segment.number}-{number}.m4s"'
            yield f"#EXT-X-PART:DURATION={part.duration_s:.5f},{uri}{independent}"
        if segment.is_whole:
            yield f"#EXTINF:{segment.duration_s:.5f},"
            yield f"{self._prefix}seg-{segment.number}.m4s"

    def _open(self) -> Segment | None:
        return self._segments[-1] if self._segments and not self._segments[-1].is_whole else None

    def _find(self, number: int) -> Segment | None:
        place = bisect_left(self._segments, number, key=lambda segment: segment.number)
        found = self._segments[place] if place < len(self._segments) else None
        return found if found is not None and found.number == number else None

    def _part(self, number: int, part: int) -> bytes | Missing:
        found = self._find(number)
        if found is None:
            return self._missing(number)
        return found.parts[part].data if part < len(found.parts) else Missing.UNKNOWN

    def _missing(self, number: int) -> Missing:
        is_open = bool(self._segments) and number == self._segments[-1].number
        return Missing.GONE if number < self._next_segment and not is_open else Missing.UNKNOWN

    def _begin(self) -> Segment:
        segment = Segment(
            self._next_segment, self._next_init - 1, self._is_next_discontinuity, self._origin_ms
        )
        self._segments.append(segment)
        self._next_segment += 1
        self._has_begun, self._is_next_discontinuity = True, False
        return segment

    def _end(self, segment: Segment) -> None:
        """The newest segment is whole: what is too old slides out."""
        segment.is_whole = True
        self._playlist = None
        self._target_s = max(self._target_s, round(segment.duration_s))
        segment.lines = tuple(self._lines(segment, with_parts=False))
        self._listed_s += segment.duration_s
        while self._listed_s - (oldest := self._segments[self._hidden]).duration_s >= self._window_s:
            self._listed_s -= oldest.duration_s
            self._hidden += 1
            if self._hidden > KEPT_MORE:
                self._drop_first()
        while self._bytes > self._max_bytes and len(self._segments) > 1:
            self._drop_first()

    def _drop_through(self, last: int) -> int:
        dropped = 0
        while self._segments and self._segments[0].number <= last:
            self._drop_first()
            dropped += 1
        if dropped:
            self.cuts += 1
            self._is_next_discontinuity = True
        return dropped

    def _drop_first(self) -> None:
        gone = self._segments.popleft()
        self._playlist = None
        self._bytes -= gone.size
        self._discontinuities_passed += gone.is_discontinuity
        if self._hidden:
            self._hidden -= 1
        elif gone.is_whole:
            self._listed_s -= gone.duration_s
        used = self._segments[0].init if self._segments else self._next_init - 1
        for number in range(gone.init, used):
            self._inits.pop(number, None)
