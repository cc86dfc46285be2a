"""Recordings of this node: started, stopped, finished, listed, deleted, erased."""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from media.containers import CONTENT_TYPES
from media.control import Spawner
from media.tasks import TaskScope
from policy import RECORD, Permission, Site
from recorder import names
from recorder.errors import (
    ManifestInvalid,
    RecorderError,
    RecorderUnavailable,
    RecordingConflict,
    RecordingNotFound,
)
from recorder.finishing import Signer
from recorder.manifest import Manifest, verify
from recorder.recording import Clock, Recording
from recorder.recover import Books
from recorder.types import RecordedFile, RecorderConfig, RecordingInfo
from rooms import RoomService, Withdrawal
from store import NotFound, RecordingRow, RecordingState, Store, StoreError, new_id, page_cursor

HERE: Final = Site(id="here", name="This server")
"""What people are told where a recording goes."""
SIGNING_PURPOSE: Final = "recording-manifest"
_STATES: Final = {
    RecordingState.RECORDING: "recording",
    RecordingState.FINISHING: "stopping",
    RecordingState.FINISHED: "finished",
    RecordingState.INTERRUPTED: "interrupted",
    RecordingState.FAILED: "failed",
}
_READABLE: Final = frozenset({RecordingState.FINISHED, RecordingState.INTERRUPTED})
_WITHDRAWALS_AGAIN_S: Final = 5.0
_log = structlog.get_logger("recorder")
T = TypeVar("T")


class RecorderService:
    """What the API and the signalling call. Belongs to one event loop."""

    def __init__(
        self, rooms: RoomService, store: Store, spawner: Spawner, config: RecorderConfig, clock: Clock
    ) -> None:
        self._rooms = rooms
        self._store = store
        self._spawner = spawner
        self._config = config
        self._clock = clock
        self._running: dict[str, Recording] = {}
        self._ending: dict[str, asyncio.Event] = {}
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recorder-disk")
        key = Ed25519PrivateKey.from_private_bytes(store.derive_key(SIGNING_PURPOSE))
        self._signer = Signer(spawner, key, self._disk)
        self._scope = TaskScope("recorder")
        self._books = Books(store, self._signer, self._disk, clock, self._erased)

    @property
    def public_key(self) -> bytes:
        """The 32 bytes that verify this installation's manifests."""
        return self._signer.public_key

    async def open(self) -> None:
        """Begin; what a crash left is finished in the background. Raises: StoreError, OSError."""
        await self._scope.open()
        if self._store.blobs is None:
            return
        await self._books.recover()
        self._scope.start(self._books.work(), "finishing")
        self._scope.start(self._watch_withdrawals(), "withdrawals")

    async def close(self) -> None:
        """Stop every recording; what is not finished then is finished at the next start."""
        async with asyncio.TaskGroup() as group:
            for recording in self._running.values():
                group.create_task(self._stop_quietly(recording))
        await self._books.drain(self._config.finish_patience_s)
        await self._scope.close()
        self._disk.shutdown()

    async def start(self, room: str, *, started_by: str | None = None) -> RecordingInfo:
        """Begin to record an open room; people are told first, each comes in by their grant.

        `started_by` is a participant id, None for the API.
        Raises: RecordingNotFound, RecordingConflict, RecorderUnavailable; Refused by the room.
        """
        found = self._rooms.room(room)
        if found is None:
            raise RecordingNotFound(f"no room {room[:64]!r} is open")
        if any(recording.activity.room_id == found.id for recording in self._running.values()):
            raise RecordingConflict("the room is being recorded already")
        recording_id = new_id("rec")
        folder = await self._blocking(lambda: self._make_folder(recording_id))
        starter = found.members.get(started_by) if started_by is not None else None
        try:
            activity = await self._rooms.open_activity(
                found.name,
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
        recording = Recording(activity, folder, self._config, self._spawner, self._clock, self._ended)
        self._running[recording_id] = recording
        row = RecordingRow(
            id=recording_id,
            room=activity.room_id,
            room_name=found.name,
            state=RecordingState.RECORDING,
            started_at_ms=recording.started_ms,
            started_by=starter.person if starter is not None else "",
            terms_version=activity.terms_version,
        )
        try:
            await self._store.recordings.add(row)
            await recording.start()
        except (OSError, StoreError) as error:
            await self._abandon(recording, str(error))
            raise RecorderUnavailable(f"the recorder cannot start: {error}") from error
        _log.info("recording_started", recording=recording_id, room=activity.room_id)
        return _running_info(recording, row.room_name)

    async def stop(self, recording: str) -> RecordingInfo:
        """Stop one; returns when the last byte is synced, and usually when its files are finished.

        Stopping a stopped one is fine. Raises: RecordingNotFound.
        """
        running = self._running.get(recording)
        if running is not None:
            await self._stop(running, "stopped")
        await self._books.wait_for(recording, self._config.finish_patience_s)
        found = await self.status(recording)
        if found is None:
            raise RecordingNotFound(f"no recording {recording[:64]!r}")
        return found

    async def status(self, recording: str) -> RecordingInfo | None:
        """One recording; None when there never was one."""
        row = await self._row(recording)
        return self._info(row) if row is not None else None

    async def recordings(
        self, *, room: str | None = None, after: str | None = None, limit: int = 50
    ) -> Sequence[RecordingInfo]:
        """Newest first; `after` is the id of the last one of the page before. Raises: RecordingNotFound."""
        try:
            last = await self._store.recordings.get(after) if after is not None else None
            cursor = page_cursor(last.started_at_ms, last.id) if last is not None else None
            rows, _ = await self._store.recordings.page(room=room, after=cursor, limit=limit)
        except NotFound as error:
            raise RecordingNotFound(str(error)) from error
        return [self._info(row) for row in rows]

    async def files(self, recording: str) -> Sequence[RecordedFile]:
        """The files of a recording. Raises: RecordingNotFound, RecordingConflict when it does not verify."""
        row = await self._known(recording)
        if row.state in _READABLE:
            return _files(await self._manifest(row))
        return await self._blocking(lambda: _files_so_far(self._folder(row.id)))

    async def path(self, recording: str, name: str) -> Path | None:
        """Where a file of a finished recording lies; None when there is no such file."""
        row = await self._row(recording)
        if row is None or row.state not in _READABLE:
            return None
        folder = self._folder(row.id)
        if name == names.MANIFEST:
            return folder / name
        manifest = await self._manifest(row)
        return folder / name if any(file.name == name for file in _files(manifest)) else None

    async def delete(self, recording: str) -> None:
        """Remove a finished recording from disk and index. Raises: RecordingNotFound, RecordingConflict."""
        row = await self._known(recording)
        if recording in self._running or row.state in {RecordingState.RECORDING, RecordingState.FINISHING}:
            raise RecordingConflict("the recording is not finished: stop it first")
        await self._blocking(lambda: self._remove_folders(recording))
        await self._store.recordings.remove(recording)
        _log.info("recording_deleted", recording=recording)

    async def concerned(self, withdrawal: Withdrawal) -> Sequence[str]:
        """Ids of the recordings that may hold what somebody withdraws, newest first. Raises: StoreError."""
        return [row.id for row in await self._books.concerned(withdrawal)]

    # Inside

    async def _stop(self, recording: Recording, reason: str) -> None:
        """Stop it and have it finished; a second call waits for the first. Raises: StoreError."""
        recording_id = recording.activity.id
        ending = self._ending.get(recording_id)
        if ending is not None:
            await ending.wait()
            return
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

    async def _watch_withdrawals(self) -> None:
        """Carry withdrawals out; after a failure of the store all again: done ones cost a look."""
        while True:
            try:
                async for withdrawals in self._rooms.withdrawals.follow():
                    await self._books.withdraw(withdrawals)
            except (StoreError, RecorderError) as error:
                _log.error("erasure_not_noted", reason=str(error))
                await self._clock.sleep(_WITHDRAWALS_AGAIN_S)
            else:
                return

    def _erased(self, row: RecordingRow, person: str) -> None:
        self._rooms.withdrawals.carried_out(person, room=row.room, recording=row.id)

    def _remove_folders(self, recording: str) -> None:
        for folder in (self._folder(recording), *self._books.aside(recording)):
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, recording_id: str) -> Path:
        if self._store.blobs is None:
            raise RecorderUnavailable("this server keeps nothing on disk: start it with a data folder")
        return self._store.blobs.path("recordings", recording_id)

    def _make_folder(self, recording_id: str) -> Path:
        """Raises: RecorderUnavailable."""
        self._folder(recording_id)
        blobs = self._store.blobs
        if blobs is None:
            raise RecorderUnavailable("this server keeps nothing on disk")
        try:
            folder = blobs.folder("recordings", recording_id)
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise RecorderUnavailable(f"the recordings folder cannot be written: {error.strerror}") from error
        if free < self._config.min_free_bytes:
            folder.rmdir()
            raise RecorderUnavailable(
                f"{free >> 20} MiB are free, a recording needs {self._config.min_free_bytes >> 20}: make room"
            )
        return folder

    async def _row(self, recording: str) -> RecordingRow | None:
        try:
            return await self._store.recordings.get(recording)
        except NotFound:
            return None

    async def _known(self, recording: str) -> RecordingRow:
        row = await self._row(recording)
        if row is None:
            raise RecordingNotFound(f"no recording {recording[:64]!r}")
        return row

    async def _manifest(self, row: RecordingRow) -> Manifest:
        path = self._folder(row.id) / names.MANIFEST
        try:
            content = await self._blocking(path.read_bytes)
            return verify(content, self.public_key)
        except (OSError, ManifestInvalid) as error:
            raise RecordingConflict(f"the recording's manifest cannot be trusted: {error}") from error

    def _info(self, row: RecordingRow) -> RecordingInfo:
        running = self._running.get(row.id)
        if running is not None:
            return _running_info(running, row.room_name)
        return RecordingInfo(
            id=row.id,
            room=row.room_name,
            state=_STATES[row.state],
            reason=row.reason or None,
            started_ms=row.started_at_ms,
            ended_ms=row.stopped_at_ms,
            size_bytes=row.size_bytes,
        )

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)


def _running_info(recording: Recording, room_name: str) -> RecordingInfo:
    return RecordingInfo(
        id=recording.activity.id,
        room=room_name,
        state="recording" if recording.reason is None else "stopping",
        reason=recording.reason,
        started_ms=recording.started_ms,
        ended_ms=None,
        size_bytes=recording.size_bytes,
    )


def _files(manifest: Manifest) -> list[RecordedFile]:
    media = [
        RecordedFile(file.name, file.size_bytes, _content_type(file.name, file.kind), file.sha256)
        for file in manifest.files
    ]
    others = [
        RecordedFile(other.name, other.size_bytes, _content_type(other.name), other.sha256)
        for other in manifest.others
    ]
    return [*media, *others]


def _files_so_far(folder: Path) -> list[RecordedFile]:
    """What lies there while the recording runs: sizes, no hashes."""
    found: list[RecordedFile] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        part = names.PartName.parse(path.name)
        if part is not None or path.name in {names.CHAT, names.EVENTS}:
            kind = part.kind if part is not None else ""
            found.append(RecordedFile(path.name, path.stat().st_size, _content_type(path.name, kind), None))
    return found


def _content_type(name: str, kind: str = "") -> str:
    extension = name.rpartition(".")[2]
    if extension == "jsonl":
        return "application/jsonl"
    return CONTENT_TYPES.get((extension, kind), "application/octet-stream")
