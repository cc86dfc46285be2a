"""Recordings and broadcasts as they are kept: what happened, when, and how it ended."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Connection, Row, Select, Table, case, delete, insert, select, update

from policy import Use
from store.errors import Conflict, NotFound
from store.paging import bounded, cursor, paged
from store.schema import broadcasts, recordings
from store.threads import DatabaseThread


class RecordingState(StrEnum):
    """Where a recording stands."""

    RECORDING = "recording"
    FINISHING = "finishing"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    """A crash ended it; recovery finishes it."""
    FAILED = "failed"


class BroadcastState(StrEnum):
    """Where a broadcast stands."""

    SCHEDULED = "scheduled"
    """It is to begin at a set time."""
    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRow:
    """One recording; its files lie in the blob folder `recordings/<id>`."""

    id: str
    room: str
    """Random id of the room."""
    room_name: str
    state: RecordingState
    started_at_ms: int
    started_by: str = ""
    """Person id, or empty when an API key started it."""
    terms_version: str = ""
    reason: str = ""
    stopped_at_ms: int | None = None
    expires_at_ms: int | None = None
    """When retention deletes it; None = never."""
    size_bytes: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON that the recorder keeps for itself."""
    uses: frozenset[Use] | None = None
    """What the room offered when the recording ended; None: nobody knows."""
    uses_since: frozenset[Use] | None = None
    """What it offers since its settings were changed or it was removed; None: neither was."""

    @property
    def allowed(self) -> frozenset[Use] | None:
        """What the room that was recorded lets be done with it, open or not; None: nobody knows."""
        if self.uses is None or self.uses_since is None:
            return self.uses_since if self.uses is None else self.uses
        return self.uses & self.uses_since


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastRow:
    """One broadcast of a room, or of a recording (replay)."""

    id: str
    room: str
    room_name: str
    state: BroadcastState
    started_at_ms: int
    destinations: tuple[str, ...]
    recording: str = ""
    started_by: str = ""
    reason: str = ""
    stopped_at_ms: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON that rebroadcast keeps for itself (layout, mode, ...)."""


RowT = TypeVar("RowT", RecordingRow, BroadcastRow)


class _Kept(Generic[RowT]):
    """Rows of one table by id; newest first in lists."""

    _table: ClassVar[Table]
    _word: ClassVar[str]
    """What one row is called in messages."""

    def __init__(self, writer: DatabaseThread, reader: DatabaseThread) -> None:
        self._writer = writer
        self._reader = reader

    async def add(self, row: RowT) -> None:
        """Keep a new one.

        Raises: Conflict when the id is taken; StoreUnavailable.
        """
        values = self._values(row)
        await self._writer.run(lambda connection: connection.execute(insert(self._table).values(**values)))

    async def get(self, row_id: str) -> RowT:
        """One row.

        Raises: NotFound; StoreUnavailable.
        """
        query = select(self._table).where(self._table.c.id == row_id)
        found = await self._reader.run(lambda connection: connection.execute(query).one_or_none())
        if found is None:
            raise self._unknown(row_id)
        return self._row(found)

    async def page(
        self, *, room: str | None = None, limit: int = 50, after: str | None = None
    ) -> tuple[tuple[RowT, ...], str | None]:
        """One page (of the room of that name), newest first, and the cursor of the next page.

        Raises: NotFound for a cursor that never was; StoreUnavailable.
        """
        query = select(self._table)
        if room is not None:
            query = query.where(self._table.c.room_name == room)
        columns = self._table.c
        chosen = paged(query, columns.started_at_ms, columns.id, limit=limit, after=after)
        rows = await self._read(chosen)
        is_full = len(rows) == bounded(limit)
        return rows, cursor(rows[-1].started_at_ms, rows[-1].id) if is_full else None

    async def _in_states(self, states: Iterable[StrEnum]) -> tuple[RowT, ...]:
        columns = self._table.c
        wanted = [str(state) for state in states]
        return await self._read(
            select(self._table).where(columns.state.in_(wanted)).order_by(columns.started_at_ms)
        )

    async def _change(self, row_id: str, values: Mapping[str, object]) -> RowT:
        """Change what is given (None keeps what is there); the row as it is then."""
        given = {name: value for name, value in values.items() if value is not None}
        if "state" in given:
            given["state"] = str(given["state"])
        for name in given.keys() & {"details", "destinations"}:
            given[name] = json.dumps(given[name])
        mine = self._table.c.id == row_id

        def work(connection: Connection) -> "Row[Any] | None":
            if given:
                connection.execute(update(self._table).where(mine).values(**given))
            return connection.execute(select(self._table).where(mine)).one_or_none()

        found = await self._writer.run(work)
        if found is None:
            raise self._unknown(row_id)
        return self._row(found)

    async def _read(self, query: "Select[Any]") -> tuple[RowT, ...]:
        found = await self._reader.run(lambda connection: connection.execute(query).all())
        return tuple(self._row(row) for row in found)

    def _unknown(self, row_id: str) -> NotFound:
        return NotFound(f"no {self._word} {row_id[:64]!r}")

    def _values(self, row: RowT) -> dict[str, object]:
        """The columns of a row: what the database does not know is text."""
        raise NotImplementedError

    def _row(self, found: "Row[Any]") -> RowT:
        raise NotImplementedError


class Recordings(_Kept[RecordingRow]):
    """Keeps recordings."""

    _table = recordings
    _word = "recording"

    def __init__(self, writer: DatabaseThread, reader: DatabaseThread, wall_ms: Callable[[], int]) -> None:
        super().__init__(writer, reader)
        self._wall_ms = wall_ms

    async def change(
        self,
        recording_id: str,
        *,
        state: RecordingState | None = None,
        reason: str | None = None,
        stopped_at_ms: int | None = None,
        expires_at_ms: int | None = None,
        size_bytes: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> RecordingRow:
        """Change what is given, keep the rest; the row as it is then.

        Raises: NotFound; StoreUnavailable.
        """
        return await self._change(
            recording_id,
            {
                "state": state,
                "reason": reason,
                "stopped_at_ms": stopped_at_ms,
                "expires_at_ms": expires_at_ms,
                "size_bytes": size_bytes,
                "details": details,
            },
        )

    async def offer(self, room: str, uses: frozenset[Use]) -> None:
        """The room (by id) offers these uses from now on, also of what was recorded in it.

        Raises: StoreUnavailable.
        """
        columns, text = recordings.c, _words(uses)
        runs = columns.state == str(RecordingState.RECORDING)
        query = (
            update(recordings)
            .where(columns.room == room)
            .values(uses=case((runs, text), else_=columns.uses), uses_since=text)
        )
        await self._writer.run(lambda connection: connection.execute(query))

    async def in_states(self, *states: RecordingState) -> tuple[RecordingRow, ...]:
        """All recordings in these states, oldest first: what a start has to finish.

        Raises: StoreUnavailable.
        """
        return await self._in_states(states)

    async def expired(self) -> tuple[RecordingRow, ...]:
        """Recordings whose retention has ended, oldest first, 200 at most.

        Raises: StoreUnavailable.
        """
        ends = recordings.c.expires_at_ms
        return await self._read(select(recordings).where(ends <= self._wall_ms()).order_by(ends).limit(200))

    async def remove(self, recording_id: str) -> None:
        """Forget a recording; its files are the caller's to delete first.

        Raises: NotFound; Conflict while it runs; StoreUnavailable.
        """

        def work(connection: Connection) -> None:
            state = connection.execute(
                select(recordings.c.state).where(recordings.c.id == recording_id)
            ).scalar_one_or_none()
            if state is None:
                raise NotFound(f"no recording {recording_id[:64]!r}")
            if state == RecordingState.RECORDING:
                raise Conflict("the recording still runs: stop it first")
            connection.execute(delete(recordings).where(recordings.c.id == recording_id))

        await self._writer.run(work)

    def _values(self, row: RecordingRow) -> dict[str, object]:
        plain = {name: getattr(row, name) for name in RecordingRow.__dataclass_fields__}
        return plain | {
            "state": str(row.state),
            "details": json.dumps(dict(row.details)),
            "uses": _words(row.uses),
            "uses_since": _words(row.uses_since),
        }

    def _row(self, found: "Row[Any]") -> RecordingRow:
        return RecordingRow(
            id=found.id,
            room=found.room,
            room_name=found.room_name,
            state=RecordingState(found.state),
            started_at_ms=found.started_at_ms,
            started_by=found.started_by,
            terms_version=found.terms_version,
            reason=found.reason,
            stopped_at_ms=found.stopped_at_ms,
            expires_at_ms=found.expires_at_ms,
            size_bytes=found.size_bytes,
            details=json.loads(found.details),
            uses=_uses(found.uses),
            uses_since=_uses(found.uses_since),
        )


def _words(uses: frozenset[Use] | None) -> str | None:
    return None if uses is None else " ".join(sorted(uses))


def _uses(words: str | None) -> frozenset[Use] | None:
    return None if words is None else frozenset(Use(word) for word in words.split())


class Broadcasts(_Kept[BroadcastRow]):
    """Keeps broadcasts."""

    _table = broadcasts
    _word = "broadcast"

    async def change(
        self,
        broadcast_id: str,
        *,
        state: BroadcastState | None = None,
        reason: str | None = None,
        started_at_ms: int | None = None,
        stopped_at_ms: int | None = None,
        details: Mapping[str, Any] | None = None,
        destinations: tuple[str, ...] | None = None,
    ) -> BroadcastRow:
        """Change what is given, keep the rest; the row as it is then.

        Raises: NotFound; StoreUnavailable.
        """
        return await self._change(
            broadcast_id,
            {
                "state": state,
                "reason": reason,
                "started_at_ms": started_at_ms,
                "stopped_at_ms": stopped_at_ms,
                "details": details,
                "destinations": destinations,
            },
        )

    async def in_states(self, *states: BroadcastState) -> tuple[BroadcastRow, ...]:
        """All broadcasts in these states, oldest first.

        Raises: StoreUnavailable.
        """
        return await self._in_states(states)

    def _values(self, row: BroadcastRow) -> dict[str, object]:
        plain = {name: getattr(row, name) for name in BroadcastRow.__dataclass_fields__}
        return plain | {
            "state": str(row.state),
            "destinations": json.dumps(row.destinations),
            "details": json.dumps(dict(row.details)),
        }

    def _row(self, found: "Row[Any]") -> BroadcastRow:
        return BroadcastRow(
            id=found.id,
            room=found.room,
            room_name=found.room_name,
            state=BroadcastState(found.state),
            started_at_ms=found.started_at_ms,
            destinations=tuple(json.loads(found.destinations)),
            recording=found.recording,
            started_by=found.started_by,
            reason=found.reason,
            stopped_at_ms=found.stopped_at_ms,
            details=json.loads(found.details),
        )
