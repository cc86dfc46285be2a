"""Rooms to other sites: starts, stops and tells of broadcasts, within the broadcast terms."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal, get_args

from media.control import Spawner
from media.tasks import TaskScope
from policy import LIVE, Permission, Site, normalize_identity
from rebroadcast.broadcast import Broadcast
from rebroadcast.clock import Clock
from rebroadcast.errors import BroadcastConflict, BroadcastInvalid, BroadcastNotFound
from rebroadcast.hls_window import Missing
from rebroadcast.outlets import Target
from rebroadcast.publisher import check_publisher
from rebroadcast.registry import Registry
from rebroadcast.types import (
    BroadcastInfo,
    DestinationInfo,
    DestinationStatus,
    Mode,
    PartnerInfo,
    RebroadcastConfig,
)
from rebroadcast.url_policy import UrlPolicy
from rooms import Room, RoomService
from store import BroadcastRow, BroadcastState, NotFound, PartnerRow, Store, new_id, page_cursor

LAYOUTS: Final = frozenset({"grid", "speaker", "single"})


class RebroadcastService:
    """The broadcasts of this node. Belongs to one event loop."""

    def __init__(
        self, rooms: RoomService, store: Store, spawner: Spawner, config: RebroadcastConfig, clock: Clock
    ) -> None:
        self._rooms = rooms
        self._store = store
        self._spawner = spawner
        self._config = config
        self._clock = clock
        self._policy = UrlPolicy(allow_private=config.allow_private_destinations)
        self._registry = Registry(store, self._policy)
        self._running: dict[str, Broadcast] = {}
        self._starting: Counter[str] = Counter()
        self._scope = TaskScope("rebroadcast")

    async def open(self) -> None:
        """Begins, and closes the books on broadcasts that a crash ended."""
        await self._scope.open()
        for row in await self._store.broadcasts.in_states(BroadcastState.STARTING, BroadcastState.RUNNING):
            await self._store.broadcasts.change(
                row.id,
                state=BroadcastState.FAILED,
                reason="the server ended while it ran",
                stopped_at_ms=self._clock.wall_ms(),
            )

    async def close(self) -> None:
        """Stops every broadcast."""
        async with asyncio.TaskGroup() as group:
            for broadcast in list(self._running.values()):
                group.create_task(self._finish(broadcast, None))
        await self._scope.close()

    async def start(
        self,
        room: str,
        destinations: Sequence[str],
        *,
        layout: str = "grid",
        mode: str = "program",
        publisher: str | None = None,
        started_by: str | None = None,
    ) -> BroadcastInfo:
        """Begins a broadcast of an open room.

        `publisher` is the identity to pass through in mode `passthrough`; `started_by` is a participant id,
        None for the API. People are told first; each comes in as their grant and acknowledgement allow.

        Raises:
            BroadcastNotFound, BroadcastInvalid, BroadcastConflict, PublisherUnsuitable; NameRefused;
            Refused by the room.
        """
        if layout not in LAYOUTS:
            raise BroadcastInvalid(f"no layout is called {layout[:40]!r}: use {', '.join(sorted(LAYOUTS))}")
        if mode not in get_args(Mode):
            raise BroadcastInvalid(f"no mode is called {mode[:40]!r}: use {' or '.join(get_args(Mode))}")
        if mode == "passthrough" and publisher is None:
            raise BroadcastInvalid("mode passthrough needs publisher: the identity whose H.264 goes out")
        if mode == "program" and publisher is not None:
            raise BroadcastInvalid("mode program shows the room: leave publisher out, or use passthrough")
        found = self._rooms.room(room)
        if found is None:
            raise BroadcastNotFound(f"no room {room[:64]!r} is open")
        only = None if publisher is None else normalize_identity(publisher)
        if only is not None:
            check_publisher(found, only)
        running = [b for b in self._running.values() if b.activity.room == found.name]
        if len(running) + self._starting[found.name] >= self._config.broadcasts_per_room:
            raise BroadcastConflict(f"the room runs {len(running)} broadcasts already: stop one first")
        self._starting[found.name] += 1
        try:
            broadcast = await self._open(found, destinations, layout, mode, only, started_by)
        finally:
            self._starting -= Counter([found.name])
        await broadcast.start()
        return _info(broadcast)

    async def _open(
        self,
        room: Room,
        destinations: Sequence[str],
        layout: str,
        mode: str,
        only: str | None,
        started_by: str | None,
    ) -> Broadcast:
        """Opens the activity and notes the broadcast; when that fails nothing is left of it."""
        chosen = await self._registry.chosen(destinations, room.name)
        starter = room.members.get(started_by) if started_by is not None else None
        broadcast_id = new_id("bc")
        activity = await self._rooms.open_activity(
            room.name,
            LIVE,
            _sites([partner for _, partner in chosen]),
            started_by=started_by,
            permissions=frozenset({Permission.BROADCAST}) if starter is None else starter.permissions,
            activity_id=broadcast_id,
            kill=lambda reason: self._kill(broadcast_id, reason),
            only=only,
        )
        broadcast = Broadcast(
            activity,
            {row.id: Target(row, partner) for row, partner in chosen},
            self._config,
            layout=layout,
            mode="passthrough" if mode == "passthrough" else "program",
            spawner=self._spawner,
            policy=self._policy,
            clock=self._clock,
            on_ended=self._room_ended,
        )
        row = BroadcastRow(
            id=broadcast_id,
            room=activity.room_id,
            room_name=room.name,
            state=BroadcastState.RUNNING,
            started_at_ms=broadcast.started_ms,
            destinations=tuple(row.id for row, _ in chosen),
            started_by=starter.person if starter is not None else "",
            details={"layout": layout, "mode": mode},
        )
        try:
            await self._store.broadcasts.add(row)
        except BaseException:
            await activity.close("failed")
            raise
        self._running[broadcast_id] = broadcast
        return broadcast

    async def stop(self, broadcast: str) -> BroadcastInfo:
        """Stops one; returns when every destination is closed. Stopping a stopped one is fine.

        Raises:
            BroadcastNotFound: there never was one.
        """
        running = self._running.get(broadcast)
        if running is not None:
            await self._finish(running, None)
            return _info(running)
        found = await self.status(broadcast)
        if found is None:
            raise BroadcastNotFound(f"no broadcast {broadcast[:64]!r}")
        return found

    async def status(self, broadcast: str) -> BroadcastInfo | None:
        """One broadcast, running or ended; None when there never was one."""
        running = self._running.get(broadcast)
        if running is not None:
            return _info(running)
        try:
            return await self._past(await self._store.broadcasts.get(broadcast))
        except NotFound:
            return None

    async def broadcasts(
        self, *, room: str | None = None, after: str | None = None, limit: int = 50
    ) -> list[BroadcastInfo]:
        """Newest first; `after` is the id of the last one of the page before.

        Raises:
            BroadcastNotFound: `after` names none.
        """
        try:
            last = None if after is None else await self._store.broadcasts.get(after)
        except NotFound as error:
            raise BroadcastNotFound(str(error)) from error
        start = None if last is None else page_cursor(last.started_at_ms, last.id)
        rows, _ = await self._store.broadcasts.page(room=room, limit=limit, after=start)
        return [
            _info(self._running[row.id]) if row.id in self._running else await self._past(row) for row in rows
        ]

    async def add_destination(
        self, *, name: str, partner: str, kind: str, url: str | None, key: str | None, rooms: Sequence[str]
    ) -> DestinationInfo:
        """Registers a destination. Raises: as `Registry.add_destination`."""
        return await self._registry.add_destination(
            name=name, partner=partner, kind=kind, url=url, key=key, rooms=rooms
        )

    async def destinations(self, *, room: str | None = None) -> list[DestinationInfo]:
        """All destinations, or those that a room may use."""
        return await self._registry.destinations(room=room)

    async def remove_destination(self, destination: str) -> None:
        """Removes one that no broadcast uses.

        Raises:
            BroadcastConflict: a running broadcast uses it; BroadcastNotFound.
        """
        if any(destination == d.destination for b in self._running.values() for d in b.destinations):
            raise BroadcastConflict("a running broadcast uses this destination: stop the broadcast first")
        await self._registry.remove_destination(destination)

    async def add_partner(
        self, *, name: str, site: str, policy_url: str, uses: Sequence[str], terms_version: str
    ) -> PartnerInfo:
        """Registers a partner site. Raises: as `Registry.add_partner`."""
        info = await self._registry.add_partner(
            name=name, site=site, policy_url=policy_url, uses=uses, terms_version=terms_version
        )
        await self._rooms.consent.policy.reload_partners()
        return info

    async def partners(self) -> list[PartnerInfo]:
        """All partner sites."""
        return await self._registry.partners()

    async def remove_partner(self, partner: str) -> None:
        """Removes a partner without destinations. Raises: as `Registry.remove_partner`."""
        await self._registry.remove_partner(partner)
        await self._rooms.consent.policy.reload_partners()

    def get(self, broadcast: str, name: str) -> bytes | Literal["gone"] | None:
        """What an HLS player asks for; 'gone' for what was withdrawn, slid out, or ended.

        Only signed links come here, and one is signed for a broadcast that ran: what runs no more is gone.
        """
        running = self._running.get(broadcast)
        if running is None or running.ended_ms is not None:
            return "gone"
        found = Missing.UNKNOWN if running.hls is None else running.hls.get(name)
        if isinstance(found, bytes):
            return found
        return "gone" if found is Missing.GONE else None

    def _kill(self, broadcast: str, reason: str) -> None:
        running = self._running.get(broadcast)
        if running is not None:
            running.kill(reason)

    def _room_ended(self, broadcast: Broadcast, reason: str) -> None:
        ended_well = reason in {"closed", "room_closed", "shutting_down"}
        self._scope.start(
            self._finish(broadcast, None if ended_well else reason), f"end {broadcast.activity.id}"
        )

    async def _finish(self, broadcast: Broadcast, reason: str | None) -> None:
        broadcast_id = broadcast.activity.id
        await broadcast.stop(reason)
        try:
            await self._store.broadcasts.change(
                broadcast_id,
                state=BroadcastState(broadcast.state),
                reason=broadcast.reason or "",
                stopped_at_ms=broadcast.ended_ms,
            )
        finally:
            self._running.pop(broadcast_id, None)

    async def _past(self, row: BroadcastRow) -> BroadcastInfo:
        known = {info.id: info for info in await self._registry.destinations()}
        shown = [known[destination] for destination in row.destinations if destination in known]
        return BroadcastInfo(
            id=row.id,
            room=row.room_name,
            state=row.state.value,
            reason=row.reason or None,
            mode=str(row.details.get("mode", "program")),
            started_ms=row.started_at_ms,
            ended_ms=row.stopped_at_ms,
            has_hls=any(info.kind == "hls" for info in shown),
            destinations=tuple(
                DestinationStatus(
                    destination=info.id,
                    name=info.name,
                    site=info.site,
                    kind=info.kind,
                    state="stopped",
                    reason=None,
                    bytes_acknowledged=0,
                )
                for info in shown
            ),
        )


def _info(broadcast: Broadcast) -> BroadcastInfo:
    return BroadcastInfo(
        id=broadcast.activity.id,
        room=broadcast.activity.room,
        state=broadcast.state,
        reason=broadcast.reason,
        mode=broadcast.mode,
        started_ms=broadcast.started_ms,
        ended_ms=broadcast.ended_ms,
        has_hls=broadcast.hls is not None,
        destinations=broadcast.destinations,
    )


def _sites(partners: Sequence[PartnerRow]) -> tuple[Site, ...]:
    """The sites that people are told of, each once."""
    sites = {
        partner.id: Site(id=partner.id, name=partner.name, partner=partner.id, url=f"https://{partner.site}")
        for partner in partners
    }
    return tuple(sites.values())
