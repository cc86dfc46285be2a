"""A recording as the feed of a program: its people come and go as they did, and their parts are handed over.

Each part is opened shortly before it is due, if its person may be shown at that moment; of everybody else
nothing is opened. A turn is one showing from beginning to end; before each the grants are looked at anew.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, TypeVar

import msgspec
import structlog

from media.reel import Reel, ReelLine, ReelPart, ReelRefused
from policy import Media
from rebroadcast.clock import Clock
from rebroadcast.feed import Port
from rebroadcast.hls_chat import ChatCue
from rebroadcast.library import Library
from rebroadcast.look import ProgramLook
from rebroadcast.part_giver import AFTER_MS, PartGiver, PartIntake, Seat
from rebroadcast.shown import Showings
from rebroadcast.types import Fetching, ReplayInfo
from rebroadcast.worker.messages import REPAIR_MS, ChatShown, Person
from rooms import ActivityEvent, Code, Refused, Replay
from store import StoreError

log = structlog.get_logger("rebroadcast")

ENDED: Final = "ended"
"""Why a replay that came to its end is over."""
LEAD_S: Final = 2.0
"""How long before it is due a part is handed over, and a turn prepared."""
READY_MOST_S: Final = 10.0
"""How long the beginning waits for destinations that are connecting."""
_READY_LOOK_S: Final = 0.1
_ASK_AGAIN_S: Final = 0.25
_UNSETTLED: Final = frozenset({"idle", "connecting"})


@dataclass(order=True, slots=True)
class _Step:
    """Something that is due at a time (monotonic seconds)."""

    due: float
    number: int
    act: Callable[[], Awaitable[None]] = field(compare=False)


def unplayable(reel: Reel, *, is_looped: bool) -> str | None:
    """Why there is nothing that could be played; None when there is."""
    if not reel.duration_ms or not reel.parts:
        return "there is nothing in the recording that could be shown"
    if is_looped and reel.duration_ms < LEAD_S * 1000:
        return f"the recording is shorter than {LEAD_S:g} s: play it once"
    return None


T = TypeVar("T", ReelLine, Seat)


def _later(act: Callable[[T], Awaitable[None]], what: T) -> Callable[[], Awaitable[None]]:
    return lambda: act(what)


class ReplayFeed:
    """Plays one recording, once or over and over. Belongs to the event loop."""

    is_replay = True

    def __init__(
        self,
        replay: Replay,
        reel: Reel,
        library: Library,
        clock: Clock,
        look: ProgramLook,
        *,
        identities: Mapping[str, str],
        is_looped: bool,
        at_ms: int | None,
        linger_s: float,
        review: Callable[[], Awaitable[None]],
        on_shown: Callable[[], None],
    ) -> None:
        """`review`: decides anew who may be shown; `on_shown`: called when `showings` has changed.

        `identities`: who the recording's people are to the API, by person; `at_ms`: the time that was set for
        it; `linger_s`: how long the end stays for players that are behind.
        """
        self.showings = Showings()
        """Who was shown when."""
        self._replay = replay
        self._reel = reel
        self._library = library
        self._clock = clock
        self._look = look
        self._identities = identities
        self._is_looped = is_looped
        self._at_ms = at_ms
        self._linger_s = linger_s
        self._review = review
        self._on_shown = on_shown
        self._port: Port | None = None
        self._steps: list[_Step] = []
        self._numbers = count()
        self._begun: deque[float] = deque(maxlen=2)
        self._turns = 0
        self._names: Mapping[str, str] = {}
        self._seats: dict[str, Seat] = {}
        self._giver = PartGiver(replay, library, clock)
        self._fetching: Fetching | None = None
        self._is_ready = asyncio.Event()
        self._end: str | None = None
        self._is_closed = False

    def attach(self, port: Port) -> None:
        """Belong to a broadcast."""
        self._port = port

    async def run(self) -> str | None:
        """Play to the end; why it ended."""
        await self._giver.open()
        try:
            async with self._library.fetched(self._replay.of.recording, self._wanted(), self._came):
                self._fetching = None
                self._is_ready.set()
                return await self._play()
        except (ReelRefused, StoreError, OSError) as error:
            return str(error)
        except Exception as error:  # nobody is left with a replay that stands still
            log.exception("replay_failed", recording=self._replay.of.recording)
            return f"it could not go on: {error or type(error).__name__}"
        finally:
            await self._giver.close()

    async def ready(self) -> None:
        """Wait until what will be shown is on the disk."""
        await self._is_ready.wait()

    def _wanted(self) -> list[str]:
        """Parts that will be shown; of a loop all, for others may come in with a later turn."""
        people = self._replay.people()
        return [part.name for part in self._reel.parts if self._is_looped or part.person in people]

    def _came(self, done_bytes: int, total_bytes: int) -> None:
        self._fetching = Fetching(done_bytes, total_bytes)

    async def _play(self) -> str | None:
        await self._destinations_settle()
        begins = self._clock.monotonic() + LEAD_S
        self._plan(begins - LEAD_S, lambda: self._prepare(begins))
        while self._steps and self._end is None:
            step = heapq.heappop(self._steps)
            await self._clock.sleep(max(step.due - self._clock.monotonic(), 0))
            await step.act()
        return self._end

    def take(self, event: ActivityEvent) -> None:
        """Nothing happens in a recording that is not planned."""

    def known(self) -> Sequence[msgspec.Struct]:
        """Everyone who is there now or soon."""
        return [self._message(seat) for seat in self._seats.values()]

    def dress(self, look: ProgramLook) -> None:
        """The look is another one."""
        self._look = look
        for message in self.known():
            self._tell(message)

    def cut(self, person: str) -> None:
        """Somebody lost something, or all: nobody gets it back within a turn."""
        self._giver.cut(person)
        is_out = self._replay.shown(person) is None
        if is_out and self.showings.ended(person, self._clock.wall_ms()):
            self._on_shown()

    async def intake(self, *, is_first: bool) -> PartIntake:  # noqa: ARG002 - of the protocol
        """A socket of its own for each process; what is to be seen now is handed over by it again."""
        if self._is_closed:
            raise Refused(Code.NOT_FOUND, "the replay is over")
        return self._giver.intake()

    async def request_keyframe(self, tap: int) -> None:
        """Recorded pictures come as they are."""

    def progress(self) -> ReplayInfo:
        """How far it has come."""
        now = self._clock.monotonic()
        begun = [begins for begins in self._begun if begins <= now]
        position_ms = round((now - begun[-1]) * 1000) if begun else 0
        return ReplayInfo(
            recording=self._replay.of.recording,
            at_ms=self._at_ms,
            is_looped=self._is_looped,
            position_ms=min(position_ms, self._reel.duration_ms),
            duration_ms=self._reel.duration_ms,
            turn=self._turns - (len(self._begun) - len(begun)),
            fetching=self._fetching,
        )

    def close(self) -> None:
        """Nothing is handed over any more."""
        self._is_closed, self._fetching = True, None
        self._giver.hang_up()
        if self.showings.close(self._clock.wall_ms()):
            self._on_shown()

    # The plan

    def _plan(self, due: float, act: Callable[[], Awaitable[None]]) -> None:
        heapq.heappush(self._steps, _Step(due, next(self._numbers), act))

    async def _destinations_settle(self) -> None:
        """Wait until what can be reached is, so that nobody misses the beginning."""
        until = self._clock.monotonic() + READY_MOST_S
        while self._clock.monotonic() < until:
            states = {status.state for status in self._port.statuses()} if self._port is not None else set()
            if not states & _UNSETTLED:
                return
            await self._clock.sleep(_READY_LOOK_S)

    async def _prepare(self, begins: float) -> None:
        """Decide who may be in the turn that begins then, and plan it; a store that fails is asked again.

        Raises: ReelRefused; StoreError when it fails until the turn is due.
        """
        try:
            reel, lines = await self._asked()
        except StoreError as error:
            again = self._clock.monotonic() + _ASK_AGAIN_S
            if again >= begins:
                raise
            log.warning("replay_turn_waits", recording=self._replay.of.recording, reason=str(error))
            self._plan(again, lambda: self._prepare(begins))
            return
        self._begun.append(begins)
        self._turns += 1
        self._plan_people(reel, begins)
        for line in lines:
            self._plan(begins + line.at_ms / 1000, _later(self._say, line))
        ends = begins + reel.duration_ms / 1000
        if self._is_looped:
            self._plan(ends - LEAD_S, lambda: self._prepare(ends))
        else:
            self._plan(ends + REPAIR_MS / 1000 + self._linger_s, self._finish)
        log.info("replay_turn", recording=reel.recording, count=self._turns)

    async def _asked(self) -> tuple[Reel, Sequence[ReelLine]]:
        """What there is to be shown in a turn, and of whom; they count as shown from the moment they may be.

        Raises: ReelRefused, StoreError.
        """
        recording = self._replay.of.recording
        reel = self._reel = await self._library.reel(recording)
        reason = unplayable(reel, is_looped=self._is_looped)
        if reason is not None:
            raise ReelRefused("conflict", reason)
        await self._review()
        shown = self._replay.people()
        began = [self.showings.began(person, self._clock.wall_ms()) for person in shown]
        if any(began):
            self._on_shown()
        self._names = await self._library.names(recording, shown)
        return reel, await self._library.lines(recording, shown)

    def _plan_people(self, reel: Reel, begins: float) -> None:
        seats: dict[str, list[Seat]] = {}
        stays = ((who.person, *span) for who in reel.people for span in who.spans)
        for number, (person, from_ms, to_ms) in enumerate(stays):
            seat = Seat(f"{self._turns}.{number}", person, from_ms, to_ms, begins)
            seats.setdefault(person, []).append(seat)
            self._plan(begins + from_ms / 1000 - LEAD_S, _later(self._seat, seat))
            self._plan(begins + (to_ms + REPAIR_MS + AFTER_MS) / 1000, _later(self._leave, seat))
        for part in reel.parts:
            theirs = seats.get(part.person, [])
            found = [seat for seat in theirs if seat.from_ms <= part.start_ms] or theirs
            if found:
                self._plan(begins + part.start_ms / 1000 - LEAD_S, self._give(part, found[-1]))

    async def _finish(self) -> None:
        self._end = ENDED

    # The steps

    async def _seat(self, seat: Seat) -> None:
        self._seats[seat.participant] = seat
        self._tell(self._message(seat))

    async def _leave(self, seat: Seat) -> None:
        self._seats.pop(seat.participant, None)
        self._giver.left(seat)
        self._tell(Person("", seat.participant, None, is_present=False))

    def _give(self, part: ReelPart, seat: Seat) -> Callable[[], Awaitable[None]]:
        async def give() -> None:
            self._giver.give(part, seat)

        return give

    async def _say(self, line: ReelLine) -> None:
        shown, name = self._replay.shown(line.person), self._names.get(line.person)
        if shown is None or Media.CHAT not in shown.media or name is None or self._port is None:
            return
        line_id, at_ms = f"r{next(self._numbers)}", self._clock.wall_ms() + REPAIR_MS
        self._tell(ChatShown(line_id, line.person, name, line.text, shown.slot, shown.version))
        self._port.say(ChatCue(line.person, name, line.text, at_ms, line_id))

    def _message(self, seat: Seat) -> Person:
        """Somebody's place; without a grant it is nobody's."""
        is_shown = self._replay.shown(seat.person) is not None
        identity = self._identities.get(seat.person) if is_shown else None
        return Person(
            person=seat.person if is_shown else "",
            participant=seat.participant,
            name=self._names.get(seat.person) if is_shown else None,
            is_present=True,
            is_main=bool(self._look.person) and identity == self._look.person,
            gain=self._look.gain(identity),
            from_ns=seat.at_ns(seat.from_ms),
            until_ns=seat.at_ns(seat.to_ms),
        )

    def _tell(self, message: msgspec.Struct) -> None:
        if self._port is not None:
            self._port.tell(message)
