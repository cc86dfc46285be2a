"""The recordings that run here: each begun and stopped once, whoever asks, and whoever stops waiting."""

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Final, TypeVar

import structlog

from media.control import Spawner
from media.tasks import TaskScope
from policy import RECORD, Permission, Site
from recorder.errors import RecorderUnavailable, RecordingConflict, RecordingNotFound
from recorder.folders import make_folder
from recorder.info import running_info
from recorder.keys import KeyStore
from recorder.recording import Clock, Recording
from recorder.recover import Books
from recorder.types import RecorderConfig, RecordingInfo
from rooms import Room, RoomService
from store import RecordingRow, RecordingState, Store, StoreError, new_id

HERE: Final = Site(id="here", name="This server")
"""What people are told where a recording goes."""
_log = structlog.get_logger("recorder")
T = TypeVar("T")


class Runs:
    """Belongs to one event loop; `disk` runs what blocks on the disk, `books` finish what has stopped."""

    def __init__(
        self,
        rooms: RoomService,
        store: Store,
        spawner: Spawner,
        config: RecorderConfig,
        clock: Clock,
        books: Books,
        keys: KeyStore | None,
        disk: Executor,
    ) -> None:
        self._rooms = rooms
        self._store = store
        self._spawner = spawner
        self._config = config
        self._clock = clock
        self._books = books
        self._keys = keys
        self._disk = disk
        self._running: dict[str, Recording] = {}
        self._starting: dict[str, asyncio.Event] = {}
        self._ending: dict[str, asyncio.Event] = {}
        self._is_closing = False
        self._scope = TaskScope("recordings")

    async def open(self) -> None:
        """Before anything is started."""
        await self._scope.open()

    async def close(self) -> None:
        """Stop all of them, those that only just start too."""
        self._is_closing = True
        for begun in list(self._starting.values()):
            await begun.wait()
        async with asyncio.TaskGroup() as group:
            for recording in self._running.values():
                group.create_task(self._stop_quietly(recording))
        await self._scope.close()

    def get(self, recording: str) -> Recording | None:
        """One that runs, or is being stopped."""
        return self._running.get(recording)

    async def start(self, room: str, started_by: str | None) -> RecordingInfo:
        """Begin to record an open room; `started_by` is a participant id, None for the API.

        Raises: RecordingNotFound, RecordingConflict, RecorderUnavailable; Refused by the room.
        """
        if self._is_closing:
            raise RecorderUnavailable("the server is being stopped")
        found = self._rooms.room(room)
        if found is None:
            raise RecordingNotFound(f"no room {room[:64]!r} is open")
        known = {recording.activity.room_id for recording in self._running.values()}
        if found.id in known | self._starting.keys():
            raise RecordingConflict("the room is being recorded already")
        begun = self._starting[found.id] = asyncio.Event()
        return await self._whole(self._start(found, started_by, begun), "start")

    async def stop(self, recording: str) -> None:
        """Stop one; returns when its last byte is synced. One that does not run is left alone.

        Raises: StoreError.
        """
        running = self._running.get(recording)
        if running is not None:
            await self._whole(self._stop(running, "stopped"), "stop")

    def pause(self, recording: str, *, is_paused: bool) -> Recording | None:
        """Keep nothing of one from now on, or go on; None when it does not run, or is being stopped."""
        running = self._running.get(recording)
        if running is None or running.reason is not None or recording in self._ending:
            return None
        running.pause(is_paused=is_paused)
        return running

    # Inside

    async def _whole(self, work: Coroutine[object, object, T], name: str) -> T:
        """What `work` gives; it is done to its end also when who waits here is cancelled."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            try:
                result = await work
            except Exception as error:
                if done.done():
                    raise
                done.set_exception(error)
            else:
                if not done.done():
                    done.set_result(result)
            finally:
                done.cancel()

        if self._scope.start(run(), name) is None:
            work.close()
            raise RecorderUnavailable("the server is being stopped")
        return await done

    async def _start(self, room: Room, started_by: str | None, begun: asyncio.Event) -> RecordingInfo:
        try:
            return await self._begin(room, started_by)
        finally:
            del self._starting[room.id]
            begun.set()

    async def _begin(self, room: Room, started_by: str | None) -> RecordingInfo:
        recording_id = new_id("rec")
        folder = await self._blocking(
            lambda: make_folder(self._store, recording_id, min_free_bytes=self._config.min_free_bytes)
        )
        starter = room.members.get(started_by) if started_by is not None else None
        try:
            activity = await self._rooms.open_activity(
                room.name,
                RECORD,
                (HERE,),
                started_by=started_by,
                permissions=frozenset({Permission.RECORD}) if starter is None else starter.permissions,
                activity_id=recording_id,
                kill=lambda reason: self._kill(recording_id, reason),
            )
        except BaseException:
            await self._blocking(lambda: shutil.rmtree(folder, ignore_errors=True))
            raise
        keys = self._keys.access(recording_id) if self._keys is not None and self._config.encrypts else None
        recording = Recording(activity, folder, self._config, self._spawner, self._clock, self._ended, keys)
        self._running[recording_id] = recording
        days = room.settings.retention_days
        row = RecordingRow(
            id=recording_id,
            room=activity.room_id,
            room_name=room.name,
            state=RecordingState.RECORDING,
            started_at_ms=recording.started_ms,
            started_by=starter.person if starter is not None else "",
            terms_version=activity.terms_version,
            details={} if days is None else {"retention_days": days},
            uses=room.settings.uses,
        )
        try:
            await self._store.recordings.add(row)
            await recording.start()
        except (OSError, StoreError) as error:
            await self._abandon(recording, str(error))
            raise RecorderUnavailable(f"the recorder cannot start: {error}") from error
        _log.info("recording_started", recording=recording_id, room=activity.room_id)
        return running_info(recording, row.room_name)

    async def _stop(self, recording: Recording, reason: str) -> None:
        """Stop it, when it has begun, and have it finished; a second call waits for the first.

        Raises: StoreError.
        """
        begun = self._starting.get(recording.activity.room_id)
        if begun is not None:
            await begun.wait()
        recording_id = recording.activity.id
        ending = self._ending.get(recording_id)
        if ending is not None:
            await ending.wait()
        if self._running.get(recording_id) is not recording:
            return  # it could not begin, or it has been stopped
        ending = self._ending[recording_id] = asyncio.Event()
        try:
            await recording.stop(reason)
            await self._books.stopped(recording_id, recording.reason or reason, recording.size_bytes)
        finally:
            del self._running[recording_id], self._ending[recording_id]
            ending.set()

    async def _stop_quietly(self, recording: Recording) -> None:
        try:
            await self._stop(recording, "shutting_down")
        except (StoreError, OSError) as error:
            # The row still says that it runs: the next start finishes it.
            _log.error("recording_stop_failed", recording=recording.activity.id, reason=str(error))

    def _ended(self, recording: Recording, reason: str) -> None:
        if reason == "disk_full":
            _log.error("disk_full", recording=recording.activity.id)
        self._scope.start(self._stop(recording, reason), "stop")

    def _kill(self, recording_id: str, reason: str) -> None:
        running = self._running.get(recording_id)
        if running is not None:
            running.kill(reason)

    async def _abandon(self, recording: Recording, reason: str) -> None:
        """A start that failed half-way: nothing stays but the row that says so."""
        self._running.pop(recording.activity.id, None)
        await recording.activity.close("failed")
        await self._blocking(lambda: shutil.rmtree(recording.folder, ignore_errors=True))
        try:
            await self._store.recordings.change(
                recording.activity.id,
                state=RecordingState.FAILED,
                reason=reason,
                stopped_at_ms=self._clock.wall_ms(),
            )
        except StoreError as error:
            _log.warning("recording_row_failed", recording=recording.activity.id, reason=str(error))

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)
