"""A finished recording as something that can be played: what a library of recordings tells a player. PURE.

Times are milliseconds on the recording's time line.
"""

from collections.abc import Mapping
from dataclasses import dataclass


class ReelRefused(Exception):
    """The recording cannot be played; the text says why."""

    def __init__(self, code: str, reason: str) -> None:
        """`code`: `not_found` or `conflict`."""
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class ReelPart:
    """One media file of one person."""

    name: str
    person: str
    kind: str
    """`audio` or `video`."""
    source: str
    start_ms: int
    """First frame."""
    end_ms: int
    """Last frame."""
    mutes: tuple[Mapping[str, int | bool], ...] = ()
    """When its track was muted (`at_ms`, `is_muted`), in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReelPerson:
    """Somebody of whom there is something in the recording."""

    person: str
    spans: tuple[tuple[int, int], ...]
    """When they were in it, in rising order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReelLine:
    """What somebody wrote."""

    at_ms: int
    person: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reel:
    """What is in a recording. It says nothing of who may be shown."""

    recording: str
    room: str
    """Random id of the room."""
    room_name: str
    started_ms: int
    """Unix time of its beginning."""
    duration_ms: int
    people: tuple[ReelPerson, ...]
    parts: tuple[ReelPart, ...]
    uses: frozenset[str] | None
    """What the room that was recorded allows of it; None: nobody knows."""


@dataclass(frozen=True, slots=True)
class OpenedPart:
    """An open file; whoever gets it closes it."""

    fd: int
    key: bytes
    """What it is sealed with; empty when it is not."""
