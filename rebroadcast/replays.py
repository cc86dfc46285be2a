"""Replays: recordings that are broadcast again, at once or at a set time; plans outlive a restart."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog

from media.reel import Reel, ReelRefused
from media.tasks import TaskScope
from rebroadcast.bundle import Bundle
from rebroadcast.clock import Clock
from rebroadcast.errors import (
    BroadcastConflict,
    BroadcastInvalid,
    BroadcastNotFound,
    BroadcastTooDear,
    RebroadcastError,
)
from rebroadcast.library import Library
from rebroadcast.look import ProgramLook
from rebroadcast.on_air import OnAir
from rebroadcast.opening import Opener, ReplayWish, site_of
from rebroadcast.reached import KEY, kept
from rebroadcast.replay_feed import unplayable
from rebroadcast.types import LookChange
from rooms import Refused, RoomService
from store import BroadcastRow, BroadcastState, Store, StoreError, new_id

log = structlog.get_logger("rebroadcast")

LATE_MOST_MS: Final = 300_000
"""A replay that could not begin for so long after its time does not begin any more."""
AHEAD_MOST_MS: Final = 366 * 86_400_000
SCHEDULED_MOST: Final = 200
"""Replays that may be planned on one server."""
DELETED: Final = "the recording was deleted"
HELD: Final = "a legal hold keeps the recording"
_LOOK_S: Final = 30.0


class Replays:
    """Begins replays, now or at their time. Belongs to one event loop."""

    def __init__(
        self,
        rooms: RoomService,
        store: Store,
        opener: Opener,
        running: OnAir,
        library: Library,
        clock: Clock,
    ) -> None:
        self._rooms = rooms
        self._store = store
        self._opener = opener
        self._running = running
        self._library = library
        self._clock = clock
        self._wake = asyncio.Event()
        self._scope = TaskScope("replays")
        library.on_removal(self._recording_removed)
        library.on_hold(self._recording_held)

    async def open(self) -> None:
        """Begins to keep the time of what is planned."""
        await self._scope.open()
        self._scope.start(self._keep_time(), "schedule")

    async def close(self) -> None:
        """Begins nothing any more; what is planned stays so. What runs is stopped by others."""
        await self._scope.close()

    async def start(self, destinations: Sequence[str], wish: ReplayWish) -> Bundle:
        """Begins at once.

        Raises:
            BroadcastNotFound, DestinationUnregistered, BroadcastInvalid, BroadcastConflict, BroadcastTooDear;
            Refused; StoreError.
        """
        reel = await self._reel(wish.recording)
        bundle = await self._open(reel, destinations, wish, new_id("bc"))
        row = BroadcastRow(
            id=bundle.id,
            room=reel.room,
            room_name=reel.room_name,
            recording=reel.recording,
            state=BroadcastState.RUNNING,
            started_at_ms=bundle.started_ms,
            destinations=tuple(destinations),
            details=_details(bundle, wish),
        )
        try:
            await self._store.broadcasts.add(row)
            await self._running.begin(bundle, wish)
        except BaseException:
            await bundle.programs[0].activity.close("failed")
            raise
        return bundle

    async def schedule(self, destinations: Sequence[str], wish: ReplayWish) -> BroadcastRow:
        """Keeps one for its time; what can be known to be wrong is refused now.

        Raises:
            BroadcastNotFound, DestinationUnregistered, BroadcastInvalid, BroadcastConflict; StoreError.
        """
        now_ms = self._clock.wall_ms()
        if wish.at_ms is None or not now_ms < wish.at_ms < now_ms + AHEAD_MOST_MS:
            raise BroadcastInvalid("at is a time to come, within a year: leave it out to begin at once")
        reel = await self._reel(wish.recording)
        await self._opener.replay_targets(destinations, reel.room_name)
        if len(await self._planned()) >= SCHEDULED_MOST:
            raise BroadcastConflict(f"{SCHEDULED_MOST} replays are planned already: stop one first")
        row = BroadcastRow(
            id=new_id("bc"),
            room=reel.room,
            room_name=reel.room_name,
            recording=reel.recording,
            state=BroadcastState.SCHEDULED,
            started_at_ms=now_ms,
            destinations=tuple(destinations),
            details={
                "mode": "program",
                "layout": wish.look.layout,
                "replay": {**wish.kept(), "duration_ms": reel.duration_ms},
            },
        )
        await self._store.broadcasts.add(row)
        self._wake.set()
        log.info("replay_scheduled", broadcast=row.id, recording=row.recording)
        return row

    async def change(self, row: BroadcastRow, change: LookChange) -> BroadcastRow:
        """Gives a planned one another look. Raises: BroadcastInvalid, NameRefused, StoreError."""
        wish = ReplayWish.of(row)
        wish = replace(wish, look=wish.look.changed(change))
        kept = {**row.details["replay"], **wish.kept()}
        details = {**row.details, "layout": wish.look.layout, "replay": kept}
        return await self._store.broadcasts.change(row.id, details=details)

    async def cancel(self, row: BroadcastRow) -> BroadcastRow:
        """A planned one does not begin. Raises: StoreError."""
        return await self._end(row, BroadcastState.STOPPED, "it was stopped before it began")

    async def add_to(self, bundle: Bundle, destination: str) -> None:
        """Sends a replay to one more destination.

        Raises:
            BroadcastNotFound, DestinationUnregistered, BroadcastConflict; Refused.
        """
        (target,) = (await self._opener.replay_targets([destination], bundle.room)).values()
        bundle.program_for(target)  # refuses one that is in it already
        if bundle.replay is None or not bundle.open_programs:
            raise BroadcastNotFound(f"no broadcast {bundle.id[:64]!r} runs")
        program = bundle.open_programs[0]
        self._running.admit_to(program, target)
        self._running.check_open(target)
        self._rooms.consent.replays.add_site(bundle.replay, site_of(target.partner))
        program.add(target)

    async def _keep_time(self) -> None:
        """Begins what is planned when its time comes, until cancelled."""
        while True:
            self._wake.clear()
            wait_s = _LOOK_S
            try:
                for row in await self._planned():
                    wait_s = min(wait_s, await self._look_at(row))
            except StoreError as error:
                log.warning("schedule_unreadable", reason=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _look_at(self, row: BroadcastRow) -> float:
        """Begins a planned one whose time has come; how long until the next look, seconds.

        What goes wrong with one is told of that one, and the others keep their time. Raises: StoreError when
        even that cannot be kept.
        """
        try:
            left_ms = (ReplayWish.of(row).at_ms or 0) - self._clock.wall_ms()
            if left_ms > 0:
                return min(_LOOK_S, left_ms / 1000)
            await self._begin(row, late_ms=-left_ms)
        except StoreError as error:
            log.warning("replay_waits", broadcast=row.id, reason=str(error))  # it is tried again
        except Exception as error:  # the guard at each plan
            log.exception("replay_failed", broadcast=row.id)
            why = f"it could not begin: {error or type(error).__name__}"
            await self._end(row, BroadcastState.FAILED, why)
        return _LOOK_S

    async def _begin(self, row: BroadcastRow, *, late_ms: int) -> None:
        """Begins a planned one; what cannot is told as failed, with the reason. Raises: StoreError."""
        wish = ReplayWish.of(row)
        if late_ms > LATE_MOST_MS:
            reason = row.reason or "the server did not run at its time"
            await self._end(row, BroadcastState.FAILED, reason)
            return
        try:
            reel = await self._reel(row.recording)
            bundle = await self._open(reel, row.destinations, wish, row.id)
            await self._begin_opened(row, bundle, wish)
        except BroadcastTooDear as error:
            await self._store.broadcasts.change(row.id, reason=str(error))  # tried again, while it may begin
            log.warning("replay_waits", broadcast=row.id, reason=str(error))
        except (RebroadcastError, Refused) as error:
            await self._end(row, BroadcastState.FAILED, str(error))

    async def _begin_opened(self, row: BroadcastRow, bundle: Bundle, wish: ReplayWish) -> None:
        try:
            if (await self._store.broadcasts.get(row.id)).state is not BroadcastState.SCHEDULED:
                await bundle.programs[0].activity.close("closed")  # it was stopped meanwhile
                return
            await self._store.broadcasts.change(
                row.id,
                state=BroadcastState.RUNNING,
                reason="",
                started_at_ms=bundle.started_ms,
                details=_details(bundle, wish),
            )
            await self._running.begin(bundle, wish)
        except BaseException:
            await bundle.programs[0].activity.close("failed")
            raise

    async def _open(
        self, reel: Reel, destinations: Sequence[str], wish: ReplayWish, broadcast_id: str
    ) -> Bundle:
        reason = unplayable(reel, is_looped=wish.is_looped)
        if reason is not None:
            raise BroadcastConflict(reason)
        targets = await self._opener.replay_targets(destinations, reel.room_name)
        wanted = [{one for target in targets.values() for one in target.encodings}]
        with self._running.starting(reel.room_name, "program", wanted):
            return await self._opener.open_replay(self._library, reel, targets, wish, broadcast_id)

    async def _reel(self, recording: str) -> Reel:
        try:
            return await self._library.reel(recording)
        except ReelRefused as error:
            kind = BroadcastNotFound if error.code == "not_found" else BroadcastConflict
            raise kind(str(error)) from error

    async def _planned(self) -> Sequence[BroadcastRow]:
        return await self._store.broadcasts.in_states(BroadcastState.SCHEDULED)

    async def _recording_held(self, recording: str) -> None:
        """What runs ends; what is planned is judged at its time."""
        for bundle in self._running.of_recording(recording):
            try:
                await self._running.finish(bundle, HELD)
            except StoreError as error:
                # It has ended, and the hold stands; the next start closes its book.
                log.warning("replay_end_not_noted", broadcast=bundle.id, reason=str(error))

    async def _recording_removed(self, recording: str) -> None:
        for bundle in self._running.of_recording(recording):
            await self._running.finish(bundle, DELETED)
        for row in await self._planned():
            if row.recording == recording:
                await self._end(row, BroadcastState.FAILED, DELETED)

    async def _end(self, row: BroadcastRow, state: BroadcastState, reason: str) -> BroadcastRow:
        log.info("replay_ended", broadcast=row.id, code=state.value, reason=reason)
        now_ms = self._clock.wall_ms()
        return await self._store.broadcasts.change(row.id, state=state, reason=reason, stopped_at_ms=now_ms)


def replay_wish(
    recording: str, logo: bytes, look: LookChange | None, *, is_looped: bool, at_ms: int | None
) -> ReplayWish:
    """What somebody asks for, checked. Raises: BroadcastInvalid, NameRefused."""
    dressed = ProgramLook(logo=logo).changed(look or LookChange())
    return ReplayWish(recording=recording, look=dressed, is_looped=is_looped, at_ms=at_ms)


def _details(bundle: Bundle, wish: ReplayWish) -> dict[str, object]:
    program = bundle.programs[0]
    return {
        "mode": "program",
        "layout": wish.look.layout,
        "programs": {program.activity.id: sorted(program.targets)},
        KEY: kept(bundle.destinations),
        "replay": wish.kept(),
    }
