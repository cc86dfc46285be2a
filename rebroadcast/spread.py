"""Where somebody was sent: time spans at destinations, from the ledger's rows and from who was in replays."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from policy import LIVE
from rebroadcast.reached import reached
from rebroadcast.shown import spans_in
from store import BroadcastRow, LedgerKind, LedgerRow, Store

_ENDS = frozenset({LedgerKind.REVOKED, LedgerKind.SUSPENDED})


@dataclass(frozen=True, slots=True)
class Span:
    """A person may have been in a program from one time to another; never longer than this."""

    activity: str
    from_ms: int
    until_ms: int | None
    """None: they may be in it now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One destination that received something of a person."""

    broadcast: str
    room: str
    """Name of the room."""
    partner: str
    site: str
    destination: str
    kind: str
    from_ms: int
    until_ms: int | None


def spans_of(rows: Iterable[LedgerRow], stopped_ms: dict[str, int]) -> list[Span]:
    """The spans that a person's rows tell, oldest first. PURE.

    `stopped_ms`: when activities ended. A span begins with the acknowledged notice and ends with whatever
    ends grants in that room.
    """
    began: dict[str, tuple[str, int]] = {}
    held: dict[str, list[str]] = {}
    spans: list[Span] = []
    for row in rows:
        if row.kind is LedgerKind.NOTICE_ACKNOWLEDGED and row.activity:
            began[row.activity] = (row.room, row.at_ms)
        elif row.kind in _ENDS and (not row.uses or LIVE in row.uses):
            for activity in [name for name, (room, _) in began.items() if room == row.room]:
                room, from_ms = began.pop(activity)
                spans.append(Span(activity, from_ms, _until(row.at_ms, stopped_ms.get(activity))))
                held.setdefault(room, []).append(activity)
        elif row.kind in {LedgerKind.RESUMED, LedgerKind.USE_AGREED}:
            for activity in held.pop(row.room, []):
                if activity not in stopped_ms or stopped_ms[activity] > row.at_ms:
                    began[activity] = (row.room, row.at_ms)
    spans += [Span(activity, from_ms, stopped_ms.get(activity)) for activity, (_, from_ms) in began.items()]
    return sorted(
        (span for span in spans if span.until_ms is None or span.until_ms > span.from_ms),
        key=lambda span: span.from_ms,
    )


def replayed_spans(broadcast: BroadcastRow, person: str) -> list[Span]:
    """When somebody was shown in a replay, oldest first. PURE."""
    spans = spans_in(broadcast.details, person, broadcast.stopped_at_ms)
    return [Span(broadcast.id, from_ms, until_ms) for from_ms, until_ms in spans]


def _until(ended_ms: int, stopped_ms: int | None) -> int:
    return ended_ms if stopped_ms is None else min(ended_ms, stopped_ms)


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
                                room=broadcast.room_name,
                                partner=place.partner,
                                site=place.site,
                                destination=destination,
                                kind=place.kind,
                                from_ms=span.from_ms,
                                until_ms=span.until_ms,
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
