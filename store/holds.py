"""Legal holds: a recording that must not be deleted, why, by whose word, and until when.

Rows stay as a record when a hold has ended.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from store.errors import NotFound
from store.ids import new_id
from store.schema import holds
from store.threads import DatabaseThread


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One hold of one recording."""

    id: str
    recording: str
    reason: str
    placed_by: str
    placed_at_ms: int
    until_ms: int | None
    """When it ends by itself; None: when it is released."""
    released_by: str = ""
    released_at_ms: int | None = None


class Holds:
    """Keeps holds."""

    def __init__(self, writer: DatabaseThread, reader: DatabaseThread, wall_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._reader = reader
        self._wall_ms = wall_ms

    async def place(self, recording: str, *, reason: str, by: str, until_ms: int | None) -> Hold:
        """Hold a recording; several holds of one are fine. Raises: StoreUnavailable."""
        hold = Hold(
            id=new_id("hold"),
            recording=recording,
            reason=reason,
            placed_by=by,
            placed_at_ms=self._wall_ms(),
            until_ms=until_ms,
        )
        values = {name: getattr(hold, name) for name in Hold.__dataclass_fields__}
        await self._writer.run(lambda connection: connection.execute(insert(holds).values(**values)))
        return hold

    async def release(self, recording: str, hold: str, *, by: str) -> Hold:
        """End a hold; one that has ended already stays as it is. Raises: NotFound; StoreUnavailable."""
        mine = (holds.c.id == hold) & (holds.c.recording == recording)

        def work(connection: Connection) -> "Row[Any] | None":
            connection.execute(
                update(holds)
                .where(mine & holds.c.released_at_ms.is_(None))
                .values(released_by=by, released_at_ms=self._wall_ms())
            )
            return connection.execute(select(holds).where(mine)).one_or_none()

        found = await self._writer.run(work)
        if found is None:
            raise NotFound(f"no hold {hold[:64]!r} of that recording")
        return _hold(found)

    async def of(self, recording: str) -> tuple[Hold, ...]:
        """All of a recording, ended ones too, oldest first. Raises: StoreUnavailable."""
        query = select(holds).where(holds.c.recording == recording).order_by(holds.c.placed_at_ms, holds.c.id)
        rows = await self._reader.run(lambda connection: connection.execute(query).all())
        return tuple(_hold(row) for row in rows)

    async def held(self, recordings: Collection[str]) -> frozenset[str]:
        """Those of these recordings that are held now. Raises: StoreUnavailable."""
        if not recordings:
            return frozenset()
        query = (
            select(holds.c.recording)
            .where(holds.c.recording.in_(list(recordings)))
            .where(holds.c.released_at_ms.is_(None))
            .where(holds.c.until_ms.is_(None) | (holds.c.until_ms > self._wall_ms()))
        )
        return frozenset(await self._reader.run(lambda connection: connection.scalars(query).all()))


def _hold(row: "Row[Any]") -> Hold:
    return Hold(**{name: getattr(row, name) for name in Hold.__dataclass_fields__})
