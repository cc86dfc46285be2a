"""Recordings and broadcasts as they are kept: what happened, when, and how it ended."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from store.errors import Conflict, NotFound
from store.paging import cursor, paged
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


class Recordings:
    """Keeps recordings, newest first in lists."""

    def __init__(self, writer: DatabaseThread, reader: DatabaseThread, wall_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._reader = reader
        self._wall_ms = wall_ms

    async def add(self, row: RecordingRow) -> None:
        """Keep a new recording.

        Raises: Conflict when the id is taken; StoreUnavailable.
        """
        values = {
            name: getattr(row, name)
            for name in (
                "id",
                "room",
                "room_name",
                "started_at_ms",
                "started_by",
                "terms_version",
                "reason",
                "stopped_at_ms",
                "expires_at_ms",
                "size_bytes",
            )
        }
        values |= {"state": str(row.state), "details": json.dumps(dict(row.details))}
        await self._writer.run(lambda connection: connection.execute(insert(recordings).values(**values)))

    async def get(self, recording_id: str) -> RecordingRow:
        """One recording.

        Raises: NotFound; StoreUnavailable.
        """
        query = select(recordings).where(recordings.c.id == recording_id)
        found = await self._reader.run(lambda connection: connection.execute(query).one_or_none())
        if found is None:
            raise NotFound(f"no recording {recording_id[:64]!r}")
        return _recording(found)

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
        values = {
            name: value
            for name, value in (
                ("state", str(state) if state is not None else None),
                ("reason", reason),
                ("stopped_at_ms", stopped_at_ms),
                ("expires_at_ms", expires_at_ms),
                ("size_bytes", size_bytes),
                ("details", json.dumps(dict(details)) if details is not None else None),
            )
            if value is not None
        }

        def work(connection: Connection) -> "Row[Any] | None":
            if values:
                connection.execute(update(recordings).where(recordings.c.id == recording_id).values(**values))
            return connection.execute(select(recordings).where(recordings.c.id == recording_id)).one_or_none()

        found = await self._writer.run(work)
        if found is None:
            raise NotFound(f"no recording {recording_id[:64]!r}")
        return _recording(found)

    async def page(
        self, *, room: str | None = None, limit: int = 50, after: str | None = None
    ) -> tuple[tuple[RecordingRow, ...], str | None]:
        """One page of recordings (of the room of that name), newest first, and the cursor of the next page.

        Raises: NotFound for a cursor that never was; StoreUnavailable.
        """
        query = select(recordings)
        if room is not None:
            query = query.where(recordings.c.room_name == room)
        chosen = paged(query, recordings.c.started_at_ms, recordings.c.id, limit=limit, after=after)
        found = await self._reader.run(lambda connection: connection.execute(chosen).all())
        rows = tuple(_recording(row) for row in found)
        is_full = len(rows) == max(1, min(limit, 200))
        return rows, cursor(rows[-1].started_at_ms, rows[-1].id) if is_full else None

    async def in_states(self, *states: RecordingState) -> tuple[RecordingRow, ...]:
        """All recordings in these states, oldest first: what a start has to finish.

        Raises: StoreUnavailable.
        """
        query = (
            select(recordings)
            .where(recordings.c.state.in_([str(state) for state in states]))
            .order_by(recordings.c.started_at_ms)
        )
        found = await self._reader.run(lambda connection: connection.execute(query).all())
        return tuple(_recording(row) for row in found)

    async def expired(self) -> tuple[RecordingRow, ...]:
        """Recordings whose retention has ended, oldest first, 200 at most.

        Raises: StoreUnavailable.
        """
        query = (
            select(recordings)
            .where(recordings.c.expires_at_ms <= self._wall_ms())
            .order_by(recordings.c.expires_at_ms)
            .limit(200)
        )
        found = await self._reader.run(lambda connection: connection.execute(query).all())
        return tuple(_recording(row) for row in found)

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


class Broadcasts:
    """Keeps broadcasts, newest first in lists."""

    def __init__(self, writer: DatabaseThread, reader: DatabaseThread) -> None:
        self._writer = writer
        self._reader = reader

    async def add(self, row: BroadcastRow) -> None:
        """Keep a new broadcast.

        Raises: Conflict when the id is taken; StoreUnavailable.
        """
        values: dict[str, object] = {
            name: getattr(row, name)
            for name in (
                "id",
                "room",
                "room_name",
                "started_at_ms",
                "recording",
                "started_by",
                "reason",
                "stopped_at_ms",
            )
        }
        values |= {
            "state": str(row.state),
            "destinations": json.dumps(row.destinations),
            "details": json.dumps(dict(row.details)),
        }
        await self._writer.run(lambda connection: connection.execute(insert(broadcasts).values(**values)))

    async def get(self, broadcast_id: str) -> BroadcastRow:
        """One broadcast.

        Raises: NotFound; StoreUnavailable.
        """
        query = select(broadcasts).where(broadcasts.c.id == broadcast_id)
        found = await self._reader.run(lambda connection: connection.execute(query).one_or_none())
        if found is None:
            raise NotFound(f"no broadcast {broadcast_id[:64]!r}")
        return _broadcast(found)

    async def change(
        self,
        broadcast_id: str,
        *,
        state: BroadcastState | None = None,
        reason: str | None = None,
        stopped_at_ms: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> BroadcastRow:
        """Change what is given, keep the rest; the row as it is then.

        Raises: NotFound; StoreUnavailable.
        """
        values = {
            name: value
            for name, value in (
                ("state", str(state) if state is not None else None),
                ("reason", reason),
                ("stopped_at_ms", stopped_at_ms),
                ("details", json.dumps(dict(details)) if details is not None else None),
            )
            if value is not None
        }

        def work(connection: Connection) -> "Row[Any] | None":
            if values:
                connection.execute(update(broadcasts).where(broadcasts.c.id == broadcast_id).values(**values))
            return connection.execute(select(broadcasts).where(broadcasts.c.id == broadcast_id)).one_or_none()

        found = await self._writer.run(work)
        if found is None:
            raise NotFound(f"no broadcast {broadcast_id[:64]!r}")
        return _broadcast(found)

    async def page(
        self, *, room: str | None = None, limit: int = 50, after: str | None = None
    ) -> tuple[tuple[BroadcastRow, ...], str | None]:
        """One page of broadcasts (of the room of that name), newest first, and the cursor of the next page.

        Raises: NotFound for a cursor that never was; StoreUnavailable.
        """
        query = select(broadcasts)
        if room is not None:
            query = query.where(broadcasts.c.room_name == room)
        chosen = paged(query, broadcasts.c.started_at_ms, broadcasts.c.id, limit=limit, after=after)
        found = await self._reader.run(lambda connection: connection.execute(chosen).all())
        rows = tuple(_broadcast(row) for row in found)
        is_full = len(rows) == max(1, min(limit, 200))
        return rows, cursor(rows[-1].started_at_ms, rows[-1].id) if is_full else None

    async def in_states(self, *states: BroadcastState) -> tuple[BroadcastRow, ...]:
        """All broadcasts in these states, oldest first.

        Raises: StoreUnavailable.
        """
        query = (
            select(broadcasts)
            .where(broadcasts.c.state.in_([str(state) for state in states]))
            .order_by(broadcasts.c.started_at_ms)
        )
        found = await self._reader.run(lambda connection: connection.execute(query).all())
        return tuple(_broadcast(row) for row in found)


def _recording(row: "Row[Any]") -> RecordingRow:
    return RecordingRow(
        id=row.id,
        room=row.room,
        room_name=row.room_name,
        state=RecordingState(row.state),
        started_at_ms=row.started_at_ms,
        started_by=row.started_by,
        terms_version=row.terms_version,
        reason=row.reason,
        stopped_at_ms=row.stopped_at_ms,
        expires_at_ms=row.expires_at_ms,
        size_bytes=row.size_bytes,
        details=json.loads(row.details),
    )


def _broadcast(row: "Row[Any]") -> BroadcastRow:
    return BroadcastRow(
        id=row.id,
        room=row.room,
        room_name=row.room_name,
        state=BroadcastState(row.state),
        started_at_ms=row.started_at_ms,
        destinations=tuple(json.loads(row.destinations)),
        recording=row.recording,
        started_by=row.started_by,
        reason=row.reason,
        stopped_at_ms=row.stopped_at_ms,
        details=json.loads(row.details),
    )
