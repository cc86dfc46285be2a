"""A room service on the real media plane with the engine in memory, under a clock that the test moves."""

import asyncio
import heapq
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from cluster import Cluster
from policy import DEFAULT_TERMS, LIVE, RECORD, Acceptance, Permission, RoomSettings, Site
from rooms import (
    Activity,
    ActivityEvent,
    Cut,
    JoinRequest,
    Participant,
    RoomEvent,
    RoomsConfig,
    RoomService,
    TapOpened,
)
from rooms.member import Member
from sfu import MediaConfig, MediaPlane, TrackId
from sfu.engine.fake import FakeEngine
from store import Store, StoreConfig

CAPTURES = Path(__file__).parent.parent / "fixtures" / "sdp"
MEDIA = MediaConfig(
    addresses=("127.0.0.1",), port=0, gate_slots=4096, join_timeout_s=600, answer_timeout_s=600
)
EVERYTHING = frozenset(Permission) - {Permission.ADMIN}
PERSON = frozenset({Permission.JOIN, Permission.PUBLISH, Permission.SUBSCRIBE, Permission.CHAT})
ACCEPTED = Acceptance(terms_version=DEFAULT_TERMS.version, age_18=True)
VOUCHED = Acceptance(terms_version=DEFAULT_TERMS.version, age_18=True, vouched=True)
PARTNER_SITE = Site(id="tv.example", name="Partner TV")
HERE = Site(id="here", name="This server")
START_MS = 1_800_000_000_000

E = TypeVar("E")


async def until(condition: Callable[[], object], what: str = "condition", patience_s: float = 5.0) -> None:
    """Poll a condition; fails the test when it does not come true in time."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"never: {what}"
        await asyncio.sleep(0.001)


class FakeTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    """Both clocks stand still until `advance`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall_shift_ms = 0
        self._order = count()
        self._timers: list[tuple[float, int, FakeTimer]] = []

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return START_MS + round((self.now - 1000.0) * 1000) + self.wall_shift_ms

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(callback)
        heapq.heappush(self._timers, (self.now + delay_s, next(self._order), timer))
        return timer

    async def advance(self, seconds: float) -> None:
        until_s = self.now + seconds
        while self._timers and self._timers[0][0] <= until_s:
            when, _, timer = heapq.heappop(self._timers)
            self.now = max(self.now, when)
            if timer.callback is not None:
                callback, timer.callback = timer.callback, None
                callback()
            for _ in range(5):
                await asyncio.sleep(0)
        self.now = until_s
        for _ in range(10):
            await asyncio.sleep(0)


class Consumer:
    """What a recorder or program does: reads the events of an activity and acknowledges cuts."""

    def __init__(self, activity: Activity, *, acknowledges: bool = True) -> None:
        self.activity = activity
        self.seen: list[ActivityEvent] = []
        self.acknowledges = acknowledges
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        async for event in self.activity.events:
            self.seen.append(event)
            if isinstance(event, Cut) and self.acknowledges:
                self.activity.acknowledge(event.cut_id)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.seen if isinstance(event, kind)]

    def taps(self, participant: Participant) -> list[TapOpened]:
        """Taps of a participant that opened and did not close."""
        opened = {}
        for event in self.seen:
            tap = getattr(event, "tap", None)
            if isinstance(event, TapOpened) and event.participant == participant.id:
                opened[tap] = event
            elif type(event).__name__ == "TapClosed":
                opened.pop(tap, None)
        return list(opened.values())


class Rig:
    """The service with its surroundings."""

    def __init__(self, clock: FakeClock, plane: MediaPlane, store: Store, service: RoomService) -> None:
        self.clock = clock
        self.plane = plane
        self.store = store
        self.service = service
        self.consumers: list[Consumer] = []
        self.killed: list[str] = []
        self._mailboxes: dict[int, list[RoomEvent]] = {}
        self._sdp_sessions = count(1)

    async def join(
        self,
        identity: str,
        *,
        room: str = "demo",
        permissions: frozenset[Permission] = PERSON,
        accept: Acceptance | None = ACCEPTED,
        **fields: Any,
    ) -> Participant:
        joined = await self.service.join(
            JoinRequest(room=room, identity=identity, permissions=permissions, accept=accept, **fields)
        )
        await asyncio.sleep(0)  # the others are told in the next turn
        return joined

    def offer(self, *, session: str | None = None, capture: str = "chromium-offer-sendonly-av") -> str:
        """A captured offer as of a new peer connection (or of the one with that session id)."""
        sdp = (CAPTURES / f"{capture}.txt").read_text()
        return re.sub(r"o=(\S+) \S+", f"o=\\1 {session or next(self._sdp_sessions)}", sdp, count=1)

    async def publish(self, participant: Participant) -> tuple[int, ...]:
        """Publish one audio and one video track; their ids."""
        published = await participant.publish(self.offer())
        return tuple(track.track for track in published.tracks)

    async def record(self, *, room: str = "demo", acknowledges: bool = True, **fields: Any) -> Consumer:
        """Start a recording with a consumer."""
        return await self.start(RECORD, (HERE,), room=room, acknowledges=acknowledges, **fields)

    async def broadcast(self, *sites: Site, room: str = "demo", **fields: Any) -> Consumer:
        """Start a live broadcast with a consumer."""
        return await self.start(LIVE, sites or (PARTNER_SITE,), room=room, **fields)

    async def start(
        self, use: Any, sites: Any, *, room: str, acknowledges: bool = True, **fields: Any
    ) -> Consumer:
        fields.setdefault("permissions", EVERYTHING)
        activity = await self.service.open_activity(room, use, sites, kill=self.killed.append, **fields)
        consumer = Consumer(activity, acknowledges=acknowledges)
        self.consumers.append(consumer)
        return consumer

    async def acknowledge(self, *participants: Participant) -> None:
        """Everyone acknowledges every notice that waits for them."""
        for participant in participants:
            for notice in participant.pending_notices():
                await participant.acknowledge(notice.notice_id)

    def member(self, participant: Participant) -> Member:
        return participant._member

    def gate(self, activity: Activity, participant: Participant) -> bool:
        """Whether the participant's gate in the activity is open in the shared page."""
        grant = activity.grants.get(participant.id)
        if grant is None or grant.gate is None:
            return False
        return self.plane.gates.is_open(grant.gate.slot, grant.gate.version)

    def is_open(self, slot: tuple[int, int]) -> bool:
        return self.plane.gates.is_open(*slot)

    def is_enabled(self, track: int) -> bool:
        """Whether the engine lets the track's packets through."""
        engine = self.plane.engine
        assert isinstance(engine, FakeEngine)
        return engine.world.tracks[TrackId(track)].is_enabled

    def drain(self, participant: Participant) -> list[RoomEvent]:
        """Every event that waits for a participant."""
        found = []
        while (event := participant.events.poll()) is not None:
            found.append(event)
        return found

    def events(self, participant: Participant, kind: type[E]) -> list[E]:
        """The waiting events of one kind; the others are dropped."""
        return [event for event in self.drain(participant) if isinstance(event, kind)]

    async def rows(self) -> list[tuple[str, str]]:
        """(kind, reason) of every ledger row."""
        return [(str(row.kind), row.reason) for row in await self.store.ledger.rows()]


@asynccontextmanager
async def rig(
    *,
    settings: RoomSettings | None = None,
    data_dir: Path | None = None,
    config: RoomsConfig | None = None,
    cluster: Cluster | None = None,
) -> AsyncIterator[Rig]:
    """A running service; everything is closed at the end."""
    clock = FakeClock()
    plane = await MediaPlane.start(MEDIA, engine=FakeEngine)
    store = await Store.open(StoreConfig(data_dir=data_dir), wall_ms=clock.wall_ms)
    config = config or RoomsConfig(defaults=settings or RoomSettings())
    service = await RoomService.start(plane, store, config, clock=clock, cluster=cluster)
    made = Rig(clock, plane, store, service)
    try:
        yield made
    finally:
        for consumer in made.consumers:
            consumer.acknowledges = True
        await service.close()
        for consumer in made.consumers:
            consumer.task.cancel()
            await asyncio.wait({consumer.task})
        await plane.close()
        await store.close()
