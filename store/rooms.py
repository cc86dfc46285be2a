"""Rooms and bans as they are kept."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from policy import Ban, PolicyError, RoomSettings
from store.errors import StoreCorrupt
from store.ids import new_id
from store.schema import bans, rooms
from store.threads import DatabaseThread


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRow:
    """One room that was ever opened: its random id stays the same for the ledger."""

    id: str
    name: str
    settings: RoomSettings
    is_kept: bool
    """Made through the API: it stays open, with its settings, until it is deleted."""
    created_at_ms: int


class Rooms:
    """Keeps rooms by name."""

    def __init__(self, writer: DatabaseThread, reader: DatabaseThread, wall_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._reader = reader
        self._wall_ms = wall_ms

    async def get(self, name: str) -> RoomRow | None:
        """The room of that name, or None.

        Raises: StoreUnavailable.
        """
        query = select(rooms).where(rooms.c.name == name)
        found = await self._reader.run(lambda connection: connection.execute(query).one_or_none())
        return _room(found) if found is not None else None

    async def put(self, name: str, settings: RoomSettings, *, is_kept: bool, room_id: str = "") -> RoomRow:
        """Make the room, or give an existing one these settings; its id never changes.

        Raises: StoreUnavailable.
        """
        text = settings.to_json()
        fresh = room_id or new_id("rm")
        now_ms = self._wall_ms()

        def work(connection: Connection) -> "Row[Any]":
            found = connection.execute(select(rooms).where(rooms.c.name == name)).one_or_none()
            if found is None:
                connection.execute(
                    insert(rooms).values(
                        id=fresh, name=name, settings=text, is_kept=int(is_kept), created_at_ms=now_ms
                    )
                )
            else:
                connection.execute(
                    update(rooms).where(rooms.c.name == name).values(settings=text, is_kept=int(is_kept))
                )
            return connection.execute(select(rooms).where(rooms.c.name == name)).one()

        return _room(await self._writer.run(work))

    async def unkeep(self, name: str) -> None:
        """Let the room close when it is empty, and forget its settings; the id and bans stay.

        Raises: StoreUnavailable.
        """
        text = RoomSettings().to_json()
        query = update(rooms).where(rooms.c.name == name).values(is_kept=0, settings=text)
        await self._writer.run(lambda connection: connection.execute(query).rowcount)

    async def kept(self) -> tuple[RoomRow, ...]:
        """All rooms that stay open, by name.

        Raises: StoreUnavailable.
        """
        query = select(rooms).where(rooms.c.is_kept == 1).order_by(rooms.c.name)
        found = await self._reader.run(lambda connection: connection.execute(query).all())
        return tuple(_room(row) for row in found)


class Bans:
    """Keeps bans by room; they hold keyed hashes and an end."""

    def __init__(self, writer: DatabaseThread, reader: DatabaseThread, wall_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._reader = reader
        self._wall_ms = wall_ms

    async def add(self, room_id: str, ban: Ban) -> None:
        """Keep a ban; bans that have ended are dropped at the same time.

        Raises: StoreUnavailable; Conflict when there is no such room.
        """
        now_ms = self._wall_ms()

        def work(connection: Connection) -> None:
            connection.execute(delete(bans).where(bans.c.expires_at_ms <= now_ms))
            connection.execute(
                insert(bans).values(
                    id=new_id("ban"),
                    room=room_id,
                    identity_hash=ban.identity_hash,
                    address_hash=ban.address_hash,
                    created_at_ms=now_ms,
                    expires_at_ms=ban.expires_at_ms,
                )
            )

        await self._writer.run(work)

    async def of(self, room_id: str) -> tuple[Ban, ...]:
        """The bans of a room that have not ended.

        Raises: StoreUnavailable.
        """
        query = select(bans).where(bans.c.room == room_id, bans.c.expires_at_ms > self._wall_ms())
        found = await self._reader.run(lambda connection: connection.execute(query).all())
        return tuple(
            Ban(
                identity_hash=row.identity_hash,
                address_hash=row.address_hash,
                expires_at_ms=row.expires_at_ms,
            )
            for row in found
        )

    async def lift(self, room_id: str, identity_hash: str) -> bool:
        """End the bans of an identity; False when there was none.

        Raises: StoreUnavailable.
        """
        query = delete(bans).where(bans.c.room == room_id, bans.c.identity_hash == identity_hash)
        return await self._writer.run(lambda connection: connection.execute(query).rowcount > 0)


def _room(row: "Row[Any]") -> RoomRow:
    try:
        settings = RoomSettings.from_json(row.settings)
    except (PolicyError, json.JSONDecodeError) as error:
        raise StoreCorrupt(f"the settings of room {row.id} are damaged") from error
    return RoomRow(
        id=row.id,
        name=row.name,
        settings=settings,
        is_kept=row.is_kept == 1,
        created_at_ms=row.created_at_ms,
    )
