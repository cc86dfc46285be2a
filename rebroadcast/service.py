"""Rooms to other sites: starts, stops and tells of broadcasts, within the broadcast terms."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

from media.control import Spawner
from media.cpu_use import Machine
from media.tasks import TaskScope
from policy import normalize_identity
from rebroadcast.bundle import Bundle
from rebroadcast.clock import Clock
from rebroadcast.deserted import end_deserted
from rebroadcast.encodings import checked
from rebroadcast.errors import BroadcastConflict, BroadcastInvalid, BroadcastNotFound
from rebroadcast.hls_window import Missing
from rebroadcast.library import Library
from rebroadcast.look import ProgramLook
from rebroadcast.on_air import OnAir
from rebroadcast.opening import Opener, ReplayWish, Wish
from rebroadcast.outlets import Target
from rebroadcast.partners import Partners
from rebroadcast.past import info_of
from rebroadcast.publisher import check_publisher
from rebroadcast.registry import Registry
from rebroadcast.replays import Replays, replay_wish
from rebroadcast.takedowns import Takedowns
from rebroadcast.types import (
    BroadcastInfo,
    DestinationInfo,
    EncodingWish,
    LookChange,
    Mode,
    RebroadcastConfig,
)
from rebroadcast.url_policy import UrlPolicy
from rooms import RoomService
from store import (
    BroadcastRow,
    BroadcastState,
    NotFound,
    Store,
    new_id,
    page_cursor,
)


class RebroadcastService:
    """The broadcasts of this node. Belongs to one event loop."""

    def __init__(
        self,
        rooms: RoomService,
        store: Store,
        spawner: Spawner,
        config: RebroadcastConfig,
        clock: Clock,
        library: Library | None = None,
        machine: Machine | None = None,
    ) -> None:
        """`library`: the recordings that can be shown again; None without any.

        `machine`: what there is for programs beside live rooms; None: all of it, nothing is measured.
        """
        self._rooms = rooms
        self._store = store
        self._config = config
        self._clock = clock
        self._policy = UrlPolicy(allow_private=config.allow_private_destinations)
        self._registry = Registry(store, self._policy)
        self._scope = TaskScope("rebroadcast")
        self._watch = TaskScope("rebroadcast watch")
        self._stage = OnAir(store, config, self._scope, machine or Machine(float(os.cpu_count() or 1), dict))
        self._opener = Opener(
            rooms,
            store,
            spawner,
            self._registry,
            self._policy,
            config,
            clock,
            on_kill=self._stage.kill,
            on_ended=self._stage.ended,
            on_shown=self._stage.shown,
        )
        self._replays: Replays | None = None
        if library is not None:
            self._replays = Replays(rooms, store, self._opener, self._stage, library, clock)
        self.takedowns = Takedowns(rooms, store, self._policy, clock, ca_file=config.ca_file)
        """Notices to partners that received somebody who has withdrawn."""
        self.partners = Partners(self._registry, self._stage, rooms, self.takedowns)
        """Partner sites, what they agreed to, and their kill switches."""
        self._running = self._stage.bundles

    async def open(self) -> None:
        """Begins, and closes the books on broadcasts that a crash ended; what is planned stays planned."""
        await self._scope.open()
        await self.takedowns.open()
        for row in await self._store.broadcasts.in_states(BroadcastState.STARTING, BroadcastState.RUNNING):
            await self._store.broadcasts.change(
                row.id,
                state=BroadcastState.FAILED,
                reason="the server ended while it ran",
                stopped_at_ms=self._clock.wall_ms(),
            )
        if self._replays is not None:
            await self._replays.open()
        await self._watch.open()
        watching = end_deserted(self._rooms, self._stage, self._clock, self._config.empty_s)
        self._watch.start(watching, "deserted")

    async def close(self) -> None:
        """Stops every broadcast; what is planned begins after the next start."""
        await self._watch.close()
        if self._replays is not None:
            await self._replays.close()
        async with asyncio.TaskGroup() as group:
            for bundle in list(self._running.values()):
                group.create_task(self._stage.finish(bundle, None))
        await self.takedowns.close()
        await self._scope.close()

    async def start(
        self,
        room: str,
        destinations: Sequence[str],
        *,
        look: LookChange | None = None,
        mode: str = "program",
        publisher: str | None = None,
        started_by: str | None = None,
    ) -> BroadcastInfo:
        """Begins a broadcast of an open room.

        `look` is what differs from the configured one; `publisher` is the identity to pass through in mode
        `passthrough`; `started_by` is a participant id,
        None for the API. People are told first; each comes in as their grant and acknowledgement allow.

        Raises:
            BroadcastNotFound, DestinationUnregistered, BroadcastInvalid, BroadcastConflict, BroadcastTooDear,
            PublisherUnsuitable; NameRefused; Refused by the room.
        """
        if mode not in get_args(Mode):
            raise BroadcastInvalid(f"no mode is called {mode[:40]!r}: use {' or '.join(get_args(Mode))}")
        if mode == "passthrough" and publisher is None:
            raise BroadcastInvalid("mode passthrough needs publisher: the identity whose H.264 goes out")
        if mode == "program" and publisher is not None:
            raise BroadcastInvalid("mode program shows the room: leave publisher out, or use passthrough")
        dressed = ProgramLook(logo=self._config.logo).changed(look or LookChange())
        found = self._rooms.room(room)
        if found is None:
            raise BroadcastNotFound(f"no room {room[:64]!r} is open")
        only = None if publisher is None else normalize_identity(publisher)
        if only is not None:
            check_publisher(found, only)
        wish = Wish(dressed, "passthrough" if mode == "passthrough" else "program", only, started_by)
        wanted = await self._opener.encodings(destinations, found.name, wish.mode)
        with self._stage.starting(found.name, mode, wanted):
            bundle = await self._opener.open(found, destinations, wish)
        await self._stage.begin(bundle, wish)
        return bundle.info()

    async def replay(
        self,
        recording: str,
        destinations: Sequence[str],
        *,
        look: LookChange | None = None,
        at_ms: int | None = None,
        is_looped: bool = False,
    ) -> BroadcastInfo:
        """Broadcasts a finished recording again, at once or at a set time (Unix time).

        Who is in it is decided when it begins, and with each turn when it is looped.

        Raises:
            BroadcastNotFound, DestinationUnregistered, BroadcastInvalid, BroadcastConflict, BroadcastTooDear;
            NameRefused; Refused.
        """
        if self._replays is None:
            raise BroadcastConflict("this server keeps no recordings: start it with a data folder")
        wish = replay_wish(recording, self._config.logo, look, is_looped=is_looped, at_ms=at_ms)
        if at_ms is None:
            return (await self._replays.start(destinations, wish)).info()
        return await self._told(await self._replays.schedule(destinations, wish))

    async def add_to(self, broadcast: str, destination: str) -> BroadcastInfo:
        """Sends a running broadcast to one more destination.

        A site that people were not told of gets a notice of its own, and whoever does not agree to it stays
        out of what goes there.

        Raises:
            BroadcastNotFound: also when it is stopped meanwhile; DestinationUnregistered, BroadcastConflict;
            Refused by the room.
        """
        bundle = self._stage.bundle(broadcast)
        if bundle.replay is not None and self._replays is not None:
            await self._replays.add_to(bundle, destination)
            await self._stage.note(bundle)
            return bundle.info()
        ((row, partner),) = await self._registry.chosen([destination], bundle.room)
        self._stage.bundle(broadcast)  # it may have been stopped meanwhile
        target = self._opener.target(row, partner, bundle.mode)
        program = bundle.program_for(target)
        if bundle.mode == "program":
            self._stage.admit_to(program, target)
        if program is None:
            await self._begin_another(bundle, target)
        else:
            self._stage.check_open(target)
            program.add(target)
        await self._stage.note(bundle)
        return bundle.info()

    async def _begin_another(self, bundle: Bundle, target: Target) -> None:
        """A program of a running broadcast, with a notice of its own, for one more destination."""
        room = self._rooms.room(bundle.room)
        if room is None:
            raise BroadcastNotFound(f"no room {bundle.room[:64]!r} is open")
        wish = self._stage.wishes[bundle.id]
        if isinstance(wish, ReplayWish):
            raise BroadcastConflict("this server keeps no recordings: start it with a data folder")
        targets, delay_ms = {target.row.id: target}, target.row.delay_ms
        program = await self._opener.open_program(room, new_id("bc"), bundle.id, targets, delay_ms, wish)
        await self._stage.join(bundle, program)

    async def take_out(self, broadcast: str, destination: str) -> BroadcastInfo:
        """Ends one destination of a running broadcast; the others are not disturbed.

        Raises:
            BroadcastNotFound; BroadcastConflict: it is the last one.
        """
        bundle = self._stage.bundle(broadcast)
        await bundle.take_out(destination)
        return bundle.info()

    async def dump(self, broadcast: str) -> BroadcastInfo:
        """Throws away what the delays of a running broadcast hold.

        Raises:
            BroadcastNotFound; BroadcastConflict: nothing is held back.
        """
        bundle = self._stage.bundle(broadcast)
        bundle.dump()
        return bundle.info()

    def lack_of_cores(self, *, has_begun: bool) -> str | None:
        """Why there is no CPU time for work that can wait, or for going on with it; None when there is."""
        return self._stage.lack_of_cores(has_begun=has_begun)

    def cores_left(self) -> float:
        """CPU cores that one more program could have; below zero when there are too few for what runs."""
        return self._stage.load().left

    async def change(self, broadcast: str, change: LookChange) -> BroadcastInfo:
        """Changes the look of a running program, without a break in what goes out.

        Raises:
            BroadcastNotFound; BroadcastConflict: it has ended, or it is a passthrough; BroadcastInvalid;
            NameRefused.
        """
        running = self._running.get(broadcast)
        if running is None:
            row = await self._row(broadcast)
            if row is None:
                raise BroadcastNotFound(f"no broadcast {broadcast[:64]!r}")
            if row.state is not BroadcastState.SCHEDULED or self._replays is None:
                raise BroadcastConflict("the broadcast is over: start another one")
            return await self._told(await self._replays.change(row, change))
        if running.mode == "passthrough":
            raise BroadcastConflict("a passthrough sends one picture as it is: it has no look to change")
        wish = self._stage.wishes[broadcast]
        wish = self._stage.wishes[broadcast] = replace(wish, look=wish.look.changed(change))
        for program in running.open_programs:
            program.change(wish.look)
        return running.info()

    async def stop(self, broadcast: str) -> BroadcastInfo:
        """Stops one; returns when every destination is closed. Stopping a stopped one is fine.

        Raises:
            BroadcastNotFound: there never was one.
        """
        running = self._running.get(broadcast)
        if running is not None:
            await self._stage.finish(running, None)
            return running.info()
        row = await self._row(broadcast)
        if row is None:
            raise BroadcastNotFound(f"no broadcast {broadcast[:64]!r}")
        if row.state is BroadcastState.SCHEDULED and self._replays is not None:
            row = await self._replays.cancel(row)
        return await self._told(row)

    async def status(self, broadcast: str) -> BroadcastInfo | None:
        """One broadcast, running or not; None when there never was one."""
        running = self._running.get(broadcast)
        if running is not None:
            return running.info()
        row = await self._row(broadcast)
        return None if row is None else await self._told(row)

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
            self._running[row.id].info() if row.id in self._running else await self._told(row) for row in rows
        ]

    async def add_destination(
        self,
        *,
        name: str,
        partner: str,
        kind: str,
        url: str | None,
        key: str | None,
        rooms: Sequence[str],
        delay_s: float = 0.0,
        encodings: Sequence[EncodingWish] = (),
    ) -> DestinationInfo:
        """Registers a destination. Raises: as `Registry.add_destination`."""
        checked(kind, encodings, self._config)
        return await self._registry.add_destination(
            name=name,
            partner=partner,
            kind=kind,
            url=url,
            key=key,
            rooms=rooms,
            delay_s=delay_s,
            encodings=encodings,
        )

    async def destinations(self, *, room: str | None = None) -> list[DestinationInfo]:
        """All destinations, or those that a room may use."""
        return await self._registry.destinations(room=room)

    async def remove_destination(self, destination: str) -> None:
        """Removes one that no broadcast uses.

        Raises:
            BroadcastConflict: a running broadcast uses it; BroadcastNotFound.
        """
        if self._stage.uses(destination):
            raise BroadcastConflict("a running broadcast uses this destination: stop the broadcast first")
        await self._registry.remove_destination(destination)

    def get(self, program: str, destination: str, name: str) -> bytes | Literal["gone"] | None:
        """What an HLS player asks for; 'gone' for what was withdrawn, slid out, or ended.

        Only signed links come here, and one is signed for a destination that was served: one that is served
        no more is gone.
        """
        view = self._stage.view(program, destination)
        if view is None:
            return "gone"
        data = view.get(name)
        if isinstance(data, bytes):
            return data
        return "gone" if data is Missing.GONE else None

    async def wait(
        self, program: str, destination: str, name: str, segment: int | None, part: int | None
    ) -> bool:
        """Waits for what an HLS player asks for in advance; False when it cannot come soon."""
        view = self._stage.view(program, destination)
        # Without one nothing comes: `get` says why.
        return view is None or await view.wait(name, segment, part)

    async def _row(self, broadcast: str) -> BroadcastRow | None:
        try:
            return await self._store.broadcasts.get(broadcast)
        except NotFound:
            return None

    async def _told(self, row: BroadcastRow) -> BroadcastInfo:
        return info_of(row, await self._registry.destinations())
