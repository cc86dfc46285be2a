"""Where somebody was sent: time spans at destinations, from the ledger's rows and from who was in replays."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from policy import LIVE
from rebroadcast.reached import reached
from rebroadcast.shown import spans_in
from store import BroadcastRow, LedgerKind, LedgerRow, Store

_STAY_ENDS: Final = frozenset(
    {"banned", "left", "lost", "removed", "replaced", "room_closed", "token_expired"}
)
"""Reasons of a revocation with which a stay in a room ends, and with it what was acknowledged there."""
_TAKEN_BACK: Final = frozenset({"revoked", "withdrawn"})
"""Reasons of one that the person meant: nothing goes out before they agree again."""
_COMES_BACK: Final = frozenset({LedgerKind.RESUMED, LedgerKind.USE_AGREED})


@dataclass(frozen=True, slots=True)
class Span:
    """A person may have been in a program from one time to another, and at no other time."""

    activity: str
    from_ms: int
    until_ms: int | None
    """None: they may be in it now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One destination that received something of a person."""

    broadcast: str
    recording: str
    """What was shown again; empty when it was the room while it happened."""
    room: str
    """Name of the room."""
    partner: str
    site: str
    destination: str
    kind: str
    from_ms: int
    until_ms: int | None


def spans_of(rows: Iterable[LedgerRow], stopped_ms: Mapping[str, int]) -> list[Span]:
    """The spans that a person's rows tell, oldest first. PURE.

    `stopped_ms`: when activities ended. A span begins with the acknowledged notice. It ends with the stay in
    the room, and when the person takes the use back or is suspended, until they come back. What else closes
    gates (terms, settings, a partner's terms, the state of the ledger) may open them again without a row of
    that person: it ends nothing here.
    """
    presences = _Presences(stopped_ms)
    for row in rows:
        presences.read(row)
    return presences.spans()


@dataclass(slots=True)
class _Presence:
    """One activity that a person acknowledged in a stay that goes on."""

    room: str
    from_ms: int | None = None
    """Since when something of them may go into it; None: not now."""
    acknowledged_ms: int = 0
    came_ms: int = 0
    """When they last did what lets something of them in."""

    def come(self, at_ms: int) -> None:
        self.from_ms = at_ms if self.from_ms is None else self.from_ms
        self.came_ms = max(self.came_ms, at_ms)


class _Presences:
    """Reads rows in the order of the ledger.

    The row of a cut is written once the cut is through: if the person was back by then, it ends nothing.
    """

    def __init__(self, stopped_ms: Mapping[str, int]) -> None:
        self._stopped_ms = stopped_ms
        self._present: dict[str, _Presence] = {}
        self._ended: list[Span] = []

    def read(self, row: LedgerRow) -> None:
        if row.kind is LedgerKind.NOTICE_ACKNOWLEDGED and row.activity:
            acknowledged = self._present.setdefault(row.activity, _Presence(row.room))
            acknowledged.acknowledged_ms = row.at_ms
            acknowledged.come(row.at_ms)
            return
        here = [(activity, one) for activity, one in self._present.items() if one.room == row.room]
        if row.kind in _COMES_BACK:
            for _, one in here:
                one.come(row.at_ms)
        elif row.kind is LedgerKind.REVOKED and row.reason in _STAY_ENDS:
            for activity, one in here:
                if one.acknowledged_ms < row.at_ms:
                    self._end(activity, one, row.at_ms)
                    del self._present[activity]
        elif _rests(row):
            for activity, one in here:
                if one.came_ms < row.at_ms:
                    self._end(activity, one, row.at_ms)

    def spans(self) -> list[Span]:
        going_on = [
            Span(activity, one.from_ms, self._stopped_ms.get(activity))
            for activity, one in self._present.items()
            if one.from_ms is not None
        ]
        return sorted(
            (
                span
                for span in [*self._ended, *going_on]
                if span.until_ms is None or span.until_ms > span.from_ms
            ),
            key=lambda span: span.from_ms,
        )

    def _end(self, activity: str, one: _Presence, at_ms: int) -> None:
        if one.from_ms is not None:
            until_ms = min(at_ms, self._stopped_ms.get(activity, at_ms))
            self._ended.append(Span(activity, one.from_ms, until_ms))
            one.from_ms = None


def _rests(row: LedgerRow) -> bool:
    """Whether nothing of the person goes out until they come back."""
    is_taken_back = row.kind is LedgerKind.REVOKED and row.reason in _TAKEN_BACK
    return LIVE in row.uses and (is_taken_back or row.kind is LedgerKind.SUSPENDED)


def replayed_spans(broadcast: BroadcastRow, person: str) -> list[Span]:
    """When somebody was shown in a replay, oldest first. PURE."""
    spans = spans_in(broadcast.details, person, broadcast.stopped_at_ms)
    return [Span(broadcast.id, from_ms, until_ms) for from_ms, until_ms in spans]


def _served(broadcast: BroadcastRow) -> Mapping[str, Sequence[str]]:
    """The destinations of each program of a broadcast."""
    programs: Mapping[str, Sequence[str]] = broadcast.details.get("programs", {})
    return programs or {broadcast.id: broadcast.destinations}


class Spread:
    """Reads from the store where people were sent."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, person: str, *, room: str | None = None) -> list[Copy]:
        """Every destination that may have received something of a person, oldest first.

        `room`: random id of the one room that counts.

        Raises: StoreUnavailable.
        """
        ledger = self._store.ledger
        rows = [row async for row in ledger.each(person=person) if room in {None, row.room}]
        acknowledged = {row.activity for row in rows if row.kind is LedgerKind.NOTICE_ACKNOWLEDGED}
        stopped_ms: dict[str, int] = {}
        if acknowledged:
            stops = ledger.each(kind=LedgerKind.ACTIVITY_STOPPED)
            stopped_ms = {row.activity: row.at_ms async for row in stops if row.activity in acknowledged}
        live: dict[str, list[Span]] = {}
        for span in spans_of(rows, stopped_ms):
            live.setdefault(span.activity, []).append(span)
        copies: list[Copy] = []
        async for broadcast in self._broadcasts():
            replayed = replayed_spans(broadcast, person) if room in {None, broadcast.room} else []
            for program, destinations in _served(broadcast).items():
                for span in replayed or live.get(program, []):
                    for destination in destinations:
                        place = reached(broadcast.details, destination)
                        copies.append(
                            Copy(
                                broadcast=broadcast.id,
                                recording=broadcast.recording,
                                room=broadcast.room_name,
                                partner=place.partner,
                                site=place.site,
                                destination=destination,
                                kind=place.kind,
                                from_ms=span.from_ms,
                                # A crash leaves no row of the end: the book on the broadcast has it.
                                until_ms=broadcast.stopped_at_ms if span.until_ms is None else span.until_ms,
                            )
                        )
        return sorted(copies, key=lambda copy: copy.from_ms)

    async def _broadcasts(self) -> AsyncIterator[BroadcastRow]:
        """All broadcasts, the newest first."""
        after = None
        while True:
            rows, after = await self._store.broadcasts.page(limit=200, after=after)
            for row in rows:
                yield row
            if after is None:
                return
