"""Which rooms there are: opened when somebody wants them, closed when they are over."""

import asyncio

import structlog

from cluster import ClusterError
from policy import NameRefused, RoomSettings, normalize_room
from rooms.clock import wait_all
from rooms.data import DataRelay
from rooms.errors import Code, Refused
from rooms.house import House
from rooms.participant import Desks
from rooms.plane_events import PlaneEvents
from rooms.room import Room
from rooms.types import RoomInfo
from sfu import CodecPolicy, Router, SfuError
from store import RoomRow, StoreError

_log = structlog.get_logger("rooms")
_CLOSE_S = 5.0


class Register:
    """Opens, keeps and closes the rooms of this node."""

    def __init__(self, house: House, desks: Desks, plane_events: PlaneEvents, data: DataRelay) -> None:
        self._house = house
        self._desks = desks
        self._consent = desks.consent
        self._plane_events = plane_events
        self._data = data
        self._rooms: dict[str, Room] = {}
        self._opening: dict[str, asyncio.Future[None]] = {}
        self._kept: dict[str, RoomRow] = {}

    async def start(self) -> None:
        """Open the rooms that were made through the API.

        Raises: StoreUnavailable; Refused when one cannot be opened.
        """
        self._kept = {row.name: row for row in await self._house.store.rooms.kept()}
        for name in self._kept:
            await self.obtain(name)

    async def close(self, reason: str) -> None:
        """Close every room; those that were made through the API stay known."""
        for room in list(self._rooms.values()):
            await self._close_room(room, reason)

    async def create(self, name: str, settings: RoomSettings | None = None) -> Room:
        """Make a room that stays open, also when it is empty, until it is closed.

        Raises: Refused (invalid_request, conflict, unavailable).
        """
        name = _named(name)
        if name in self._rooms or name in self._kept:
            raise Refused(Code.CONFLICT, "a room of that name exists")
        try:
            row = await self._house.store.rooms.put(name, settings or RoomSettings(), is_kept=True)
        except StoreError as error:
            raise Refused(Code.UNAVAILABLE, str(error), retry_after_s=5.0) from error
        self._kept[name] = row
        return await self.obtain(name)

    async def update(self, name: str, settings: RoomSettings) -> Room:
        """Give a room other settings; what they no longer allow is cut before this returns.

        Codecs count for publish connections made from then on; whoever publishes goes on.

        Raises: Refused (not_found, unavailable).
        """
        room = self._rooms.get(name) or (await self.obtain(name) if name in self._kept else None)
        if room is None:
            raise Refused(Code.NOT_FOUND, "no room of that name is open")
        try:
            row = await self._house.store.rooms.put(name, settings, is_kept=room.is_kept)
            await self._house.store.recordings.offer(row.id, settings.uses)
        except StoreError as error:
            raise Refused(Code.UNAVAILABLE, str(error), retry_after_s=5.0) from error
        if room.is_kept:
            self._kept[name] = row
        room.settings = settings
        room.router.set_codecs(_codecs(settings))
        await self._seat(room.router, settings)
        self._consent.refresh(room)
        await asyncio.shield(self._consent.gates.settle(room, "settings_changed"))
        for member in room.people():
            room.tell_updated(member)
        return room

    def find(self, name: str) -> Room | None:
        """The open room of that name."""
        return self._rooms.get(name)

    def infos(self) -> tuple[RoomInfo, ...]:
        """Every open room, by name."""
        return tuple(room.info() for _, room in sorted(self._rooms.items()))

    def settings_of(self, name: str) -> RoomSettings:
        """The settings of a room, open or not: what somebody at the door will find."""
        room = self._rooms.get(name)
        if room is not None:
            return room.settings
        row = self._kept.get(name)
        return row.settings if row is not None else self._house.config.defaults

    def exists(self, name: str) -> bool:
        """Whether the room is open, or was made through the API."""
        return name in self._rooms or name in self._kept

    async def remove(self, name: str, reason: str = "closed") -> None:
        """Close a room for everyone, and forget that it was made.

        Raises: Refused (not_found, unavailable).
        """
        if not self.exists(name):
            raise Refused(Code.NOT_FOUND, "no room of that name is open")
        if name in self._kept:
            try:
                # What was recorded in it stays under what it offered, when nothing else is known of it.
                await self._house.store.recordings.offer(self._kept[name].id, self._kept[name].settings.uses)
                await self._house.store.rooms.unkeep(name)
            except StoreError as error:
                raise Refused(Code.UNAVAILABLE, str(error), retry_after_s=5.0) from error
            self._kept.pop(name, None)
        room = self._rooms.get(name)
        if room is not None:
            await self._close_room(room, reason)

    def give_up(self, rooms: frozenset[str]) -> None:
        """Close rooms (by id) that others took while this node was away: no room is in two halves."""
        for room in [room for room in self._rooms.values() if room.id in rooms]:
            _log.error("room_taken", room=room.id)
            self._house.scope.start(self._close_room(room, "moved"), "moved")

    def opened(self, name: str) -> Room:
        """The open room of that name.

        Raises: Refused (not_found).
        """
        room = self._rooms.get(name)
        if room is None or room.is_closed:
            raise Refused(Code.NOT_FOUND, "no room of that name is open")
        return room

    async def obtain(self, name: str) -> Room:
        """The open room of that name, opened when it is not; one opening at a time for each name.

        Raises: Refused (room_full, unavailable).
        """
        while name in self._opening:
            await asyncio.shield(self._opening[name])
        room = self._rooms.get(name)
        if room is not None:
            return room
        if len(self._rooms) + len(self._opening) >= self._house.limits.rooms:
            raise Refused(Code.ROOM_FULL, "this server has as many rooms as it may", retry_after_s=30.0)
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opening[name] = opened
        try:
            return await self._open(name)
        finally:
            del self._opening[name]
            opened.set_result(None)

    # Inside

    async def _open(self, name: str) -> Room:
        house = self._house
        row = self._kept.get(name)
        try:
            known = row or (await house.store.rooms.get(name))
            bans = await house.store.bans.of(known.id) if known is not None else ()
        except StoreError as error:
            # Who is banned cannot be known now: nobody is let into a room that is not open yet.
            raise Refused(
                Code.UNAVAILABLE, "the store cannot be read: try again", retry_after_s=5.0
            ) from error
        settings = row.settings if row is not None else house.config.defaults
        room_id = known.id if known is not None else await self._new_room_id(name, settings)
        try:
            home = await house.cluster.claim(room_id, house.config.node)
        except ClusterError as error:
            # Another node may have it open: a room is nowhere rather than twice.
            raise Refused(
                Code.UNAVAILABLE, "the other servers cannot be asked now: try again", retry_after_s=2.0
            ) from error
        if home != house.config.node:
            raise Refused(Code.CONFLICT, "the room is open on another node", retry_after_s=1.0)
        try:
            router = house.plane.router(room_id, _codecs(settings))
        except SfuError as error:
            await self._release(room_id)
            raise Refused(Code.UNAVAILABLE, "the media plane is closed") from error
        await self._seat(router, settings)
        room = Room(
            house,
            id=room_id,
            name=name,
            settings=settings,
            is_kept=row is not None,
            bans=bans,
            router=router,
        )
        room.on_left = lambda: self.watch_empty(room)
        self._rooms[name] = room
        self._consent.enter(room)
        house.scope.start(self._plane_events.follow(room), f"room {room_id}")
        house.scope.start(self._data.follow(room), f"data {room_id}")
        self.watch_empty(room)
        _log.info("room_opened", room=room_id)
        return room

    @staticmethod
    async def _seat(router: Router, settings: RoomSettings) -> None:
        try:
            await router.set_loudest(settings.loudest)
        except SfuError as error:
            # Everyone is heard: a room that is too loud, but a room.
            _log.warning("loudest_not_set", room=router.room, reason=str(error))

    async def _new_room_id(self, name: str, settings: RoomSettings) -> str:
        room_id = self._house.id("rm")
        try:
            row = await self._house.store.rooms.put(name, settings, is_kept=False, room_id=room_id)
        except StoreError as error:
            # The room works without being kept; only its bans and its id do not outlive it.
            _log.warning("room_not_kept", room=room_id, code=error.code)
            return room_id
        return row.id

    async def _close_room(self, room: Room, reason: str) -> None:
        if room.is_closed:
            return
        room.is_closed = True
        self._rooms.pop(room.name, None)
        if room.empty is not None:
            room.empty.cancel()
        # Activities end first, so that their consumers finish instead of discarding person by person.
        await self._desks.activities.close_all(room, "room_closed")
        everyone = [*room.members.values(), *room.viewers.values()]
        endings = [self._desks.leaving.begin(room, member, "room_closed") for member in everyone]
        await wait_all(self._house.clock, [ending for ending in endings if ending is not None], _CLOSE_S)
        try:
            await room.router.close()
        except SfuError as error:
            _log.warning("router_close_failed", room=room.id, code=error.code)
        self._consent.leave(room)
        await self._release(room.id)
        _log.info("room_closed", room=room.id, reason=reason)

    async def _release(self, room_id: str) -> None:
        try:
            await self._house.cluster.release(room_id, self._house.config.node)
        except ClusterError as error:
            # The claim ends by itself, when its time to live has passed.
            _log.warning("room_not_released", room=room_id, code=error.code)

    def watch_empty(self, room: Room) -> None:
        """An empty room that nobody made through the API closes after a while."""
        self.unwatch_empty(room)
        if room.is_kept or room.is_closed or room.members or room.viewers:
            return

        def close() -> None:
            room.empty = None
            if not room.members and not room.viewers and not room.is_kept:
                self._house.scope.start(self._close_room(room, "empty"), "empty")

        room.empty = self._house.clock.call_later(room.settings.empty_s, close)

    @staticmethod
    def unwatch_empty(room: Room) -> None:
        """Somebody is there again."""
        if room.empty is not None:
            room.empty.cancel()
            room.empty = None


def _codecs(settings: RoomSettings) -> CodecPolicy:
    return CodecPolicy(video=settings.video_codecs, audio=settings.audio_codecs)


def _named(name: str) -> str:
    try:
        return normalize_room(name)
    except NameRefused as error:
        raise Refused(Code.INVALID_REQUEST, str(error)) from error
