"""Hands the parts of a recording over to a program process, each opened for that, while it may be shown."""

import os
import socket
from dataclasses import dataclass
from itertools import count
from typing import Final

import structlog

from media.reel import ReelPart, ReelRefused
from media.tasks import TaskScope
from policy import Media
from rebroadcast.clock import Clock
from rebroadcast.library import Library
from rebroadcast.worker.handover import MUTES_MOST, GivenPart, give_part, part_sockets
from rooms import Replay, Shown
from store import StoreError

log = structlog.get_logger("rebroadcast")

AFTER_MS: Final = 1_500
"""How long a part, or somebody who went, is kept in mind after their end."""
_AGAIN_S: Final = 0.05
_ATTEMPTS: Final = 40
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Seat:
    """One stay of one person in one turn."""

    participant: str
    person: str
    from_ms: int
    to_ms: int
    begins: float
    """When the turn begins, monotonic seconds."""

    def at_ns(self, ms: int) -> int:
        """When a time of the recording is shown, CLOCK_MONOTONIC."""
        return round((self.begins + ms / 1000) * _SECOND_NS)


@dataclass(frozen=True, slots=True)
class _Given:
    """A part that is to be seen now, or soon."""

    part: ReelPart
    seat: Seat
    tap: int

    @property
    def until(self) -> float:
        return self.seat.begins + (self.part.end_ms + AFTER_MS) / 1000


class PartIntake:
    """The taking end, until the process has it."""

    def __init__(self, taking: socket.socket) -> None:
        self._taking = taking

    @property
    def consumer_fd(self) -> int:
        """To hand to the process."""
        return self._taking.fileno()

    def detach(self) -> None:
        """The process has it."""
        self._taking.close()


class PartGiver:
    """Belongs to the event loop."""

    def __init__(self, replay: Replay, library: Library, clock: Clock) -> None:
        self._replay = replay
        self._library = library
        self._clock = clock
        self._numbers = count(1)
        self._taps: dict[tuple[str, str], int] = {}
        self._given: list[_Given] = []
        self._end: socket.socket | None = None
        self._scope = TaskScope("parts")

    async def open(self) -> None:
        """Begin; before it nothing is given."""
        await self._scope.open()

    async def close(self) -> None:
        """Give nothing any more."""
        await self._scope.close()

    def hang_up(self) -> None:
        """The process gets nothing any more. Idempotent."""
        if self._end is not None:
            self._end.close()
            self._end = None

    def intake(self) -> PartIntake:
        """A socket for one process; what is to be seen now is given by it again. Raises: OSError."""
        self.hang_up()
        self._end, taking = part_sockets()
        now = self._clock.monotonic()
        self._given = [given for given in self._given if given.until > now]
        for given in self._given:
            self._scope.start(self._hand_over(given), "part")
        return PartIntake(taking)

    def give(self, part: ReelPart, seat: Seat) -> None:
        """A part is due soon. It is opened beside the plan: an archive may take its time."""
        place = (seat.participant, part.source)
        if place not in self._taps:
            self._taps[place] = next(self._numbers)
        given = _Given(part, seat, self._taps[place])
        self._given.append(given)
        self._scope.start(self._hand_over(given), "part")

    def left(self, seat: Seat) -> None:
        """Somebody went."""
        self._taps = {place: tap for place, tap in self._taps.items() if place[0] != seat.participant}
        self._given = [given for given in self._given if given.seat is not seat]

    def cut(self, person: str) -> None:
        """Somebody was taken out."""
        self._given = [given for given in self._given if given.part.person != person]

    def _may(self, given: _Given) -> Shown | None:
        """By which gate it may be given at this moment."""
        shown = self._replay.shown(given.part.person)
        if shown is None or Media(given.part.kind) not in shown.media:
            return None
        return shown if any(known is given for known in self._given) else None

    async def _hand_over(self, given: _Given) -> None:
        recording, shown = self._replay.of.recording, self._may(given)
        if shown is None:
            return
        try:
            opened = await self._library.open(recording, given.part)
        except (ReelRefused, StoreError) as error:
            log.warning("part_unreadable", recording=recording, reason=str(error))
            return
        try:
            message = _message(given, shown, opened.key)
            for _ in range(_ATTEMPTS):
                if self._end is None or self._may(given) != shown:
                    return  # the next process is given it anew, if there is one
                if give_part(self._end, message, opened.fd):
                    return
                await self._clock.sleep(_AGAIN_S)
            log.warning("part_not_taken", recording=recording)
        except OSError as error:
            log.debug("part_not_given", recording=recording, reason=str(error))  # the process is gone
        finally:
            os.close(opened.fd)


def _message(given: _Given, shown: Shown, key: bytes) -> GivenPart:
    part, seat = given.part, given.seat
    mutes = tuple(dict(mute) for mute in part.mutes if int(mute["at_ms"]) <= part.end_ms)
    return GivenPart(
        tap=given.tap,
        person=part.person,
        participant=seat.participant,
        kind=part.kind,
        source=part.source,
        slot=shown.slot,
        version=shown.version,
        name=part.name,
        start_ms=part.start_ms,
        end_ms=part.end_ms,
        mutes=mutes[-MUTES_MOST:],
        begins_ns=seat.at_ns(0),
        from_ns=seat.at_ns(seat.from_ms),
        until_ns=seat.at_ns(seat.to_ms),
        key=key,
    )
