"""Recordings of this node: started, stopped, finished, listed, deleted, erased."""

import asyncio
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeVar

import structlog

from media.control import Spawner
from media.sealed import SealError
from media.tasks import TaskScope
from policy import RECORD
from recorder import names
from recorder.archivist import Archivist, shelf_of
from recorder.condition import Condition
from recorder.custody import Custody
from recorder.erasure import people_in
from recorder.errors import (
    ManifestInvalid,
    RecorderError,
    RecordingConflict,
    RecordingNotFound,
)
from recorder.finishing import Signer
from recorder.folders import folder_of
from recorder.info import STATES, ended_info, running_info
from recorder.installation import open_keys, signing_key
from recorder.listing import files_of, files_so_far, is_of
from recorder.manifest import Manifest, verify
from recorder.parts import open_part
from recorder.playback import Playback
from recorder.presence import spans_of
from recorder.reading import OpenFile
from recorder.recording import Clock
from recorder.recover import Books
from recorder.reels import Reels
from recorder.renditions import Renditions
from recorder.runs import HERE, Runs
from recorder.transfers import Transfer, Transfers
from recorder.types import Presence, RecordedFile, RecorderConfig, RecordingInfo
from rooms import RoomService, Withdrawal
from store import NotFound, RecordingRow, RecordingState, Store, StoreError, page_cursor

_READABLE: Final = frozenset({RecordingState.FINISHED, RecordingState.INTERRUPTED})
_READERS: Final = 4
"""Threads for downloads, so that they wait neither for each other nor for a file that is being finished."""
_WITHDRAWALS_AGAIN_S: Final = 5.0
_log = structlog.get_logger("recorder")
T = TypeVar("T")


class RecorderService:
    """What the API and the signalling call. Belongs to one event loop."""

    def __init__(
        self, rooms: RoomService, store: Store, spawner: Spawner, config: RecorderConfig, clock: Clock
    ) -> None:
        """Raises: KeysUnusable when the master keys cannot be read or made."""
        self._rooms = rooms
        self._store = store
        self._clock = clock
        self._finish_patience_s = config.finish_patience_s
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recorder-disk")
        self._readers = ThreadPoolExecutor(max_workers=_READERS, thread_name_prefix="recorder-reader")
        self._keys = open_keys(config, store, creates=True)
        self._signer = Signer(spawner, signing_key(store), self._disk, self._keys)
        self._scope = TaskScope("recorder")
        self.archivist = Archivist(store, config, clock)
        """Carries what is finished to the archive."""
        self.transfers = Transfers()
        """Files that are being read by somebody."""
        self.renditions = Renditions(
            store, spawner, self._keys, self._disk, self._readers, self.archivist, self.transfers,
            wall_ms=clock.wall_ms, folder_of=self._folder, manifest_of=self._finished,
            agreeing=self._agreeing,
        )  # fmt: skip
        """Composed files of finished recordings."""
        self.reels = Reels(
            store, self._keys, self._readers, self.archivist,
            folder_of=self._folder, manifest_of=self._manifest,
        )  # fmt: skip
        """Finished recordings for whoever plays them again."""
        erase = self.renditions.erase
        self._books = Books(
            store, self._signer, self._disk, clock, self._erased, self._keys, erase, self.archivist
        )
        self._runs = Runs(rooms, store, spawner, config, clock, self._books, self._keys, self._disk)
        self.custody = Custody(
            rooms, store, self._books, clock, self.delete, self.reels.held, self.renditions.erasures
        )
        """Retention, legal holds, and what came of withdrawals."""
        self.playback = Playback(
            self.renditions, self._finished, self.file,
            lambda recording: self._keys.of(recording) if self._keys is not None else None,
            self._readers,
        )  # fmt: skip
        """What a page shows of a finished recording."""
        rooms.consent.on_taken_back.append(self.transfers.take_back)
        rooms.consent.on_change.append(self.transfers.look_again)
        rooms.withdrawals.on_withdrawn.append(self._withdrawn)
        self.condition = Condition(store, config, self._books, self.archivist)
        """What an operator must look at."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes that verify this installation's manifests."""
        return self._signer.public_key

    async def open(self) -> None:
        """Begin; what a crash left is finished in the background. Raises: StoreError, OSError."""
        await self._scope.open()
        await self._runs.open()
        if self._store.blobs is None:
            return
        await self.archivist.open()
        await self.renditions.open()
        await self._books.recover()
        self._scope.start(self._books.work(), "finishing")
        self._scope.start(self._watch_withdrawals(), "withdrawals")
        self._scope.start(self.custody.sweep_forever(), "retention")
        self._scope.start(self.transfers.review_forever(self.renditions.agree), "transfers")

    async def close(self) -> None:
        """Stop every recording; what is not finished then is finished at the next start."""
        await self._runs.close()
        await self._books.drain(self._finish_patience_s)
        await self.renditions.close()
        await self._scope.close()
        await self.archivist.close()
        self.playback.forget("")
        self._disk.shutdown()
        self._readers.shutdown()

    async def start(self, room: str, *, started_by: str | None = None) -> RecordingInfo:
        """Begin to record an open room; people are told first, each comes in by their grant.

        `started_by` is a participant id, None for the API. It is begun also when who asked is cancelled.
        Raises: RecordingNotFound, RecordingConflict, RecorderUnavailable; Refused by the room.
        """
        return await self._runs.start(room, started_by)

    async def stop(self, recording: str) -> RecordingInfo:
        """Stop one; returns when the last byte is synced, and usually when its files are finished.

        Stopping a stopped one is fine. It is stopped also when who asked is cancelled.
        Raises: RecordingNotFound.
        """
        await self._runs.stop(recording)
        await self._books.wait_for(recording, self._finish_patience_s)
        found = await self.status(recording)
        if found is None:
            raise RecordingNotFound(f"no recording {recording[:64]!r}")
        return found

    async def pause(self, recording: str, *, is_paused: bool) -> RecordingInfo:
        """Keep nothing of a running recording from now on, or go on; repeating changes nothing.

        Raises: RecordingNotFound, RecordingConflict when it has ended.
        """
        running = self._runs.pause(recording, is_paused=is_paused)
        if running is None:
            row = await self._known(recording)
            raise RecordingConflict(f"the recording does not run: it is {STATES[row.state]}")
        _log.info("recording_paused" if is_paused else "recording_resumed", recording=recording)
        return running_info(running, running.activity.room)

    async def status(self, recording: str) -> RecordingInfo | None:
        """One recording; None when there never was one."""
        row = await self._row(recording)
        if row is None:
            return None
        return self._info(row, await self._store.holds.held([recording]))

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
        held = await self._store.holds.held([row.id for row in rows])
        return [self._info(row, held) for row in rows]

    async def files(self, recording: str) -> Sequence[RecordedFile]:
        """The files of a recording. Raises: RecordingNotFound, RecordingConflict when it does not verify."""
        row = await self._known(recording)
        if row.state in _READABLE:
            withdrawn = await self._blocking(lambda: self._books.withdrawn(row.id))
            return [file for file in files_of(await self._manifest(row)) if not is_of(file.name, withdrawn)]
        return await self._blocking(lambda: files_so_far(self._folder(row.id)))

    async def file(self, recording: str, name: str) -> tuple[RecordedFile, OpenFile] | None:
        """A file of a finished recording, open to be read as it was before it was sealed; None without one.

        Raises: RecordingConflict when it is damaged or its key is not there.
        """
        row = await self._row(recording)
        if row is None or row.state not in _READABLE:
            return None
        manifest = await self._manifest(row)
        people = next(({file.person} for file in manifest.files if file.name == name), people_in(manifest))
        with self.transfers.opening(recording, people) as transfer:
            return await self._opened(row, manifest, name, transfer)

    async def _opened(
        self, row: RecordingRow, manifest: Manifest, name: str, transfer: Transfer
    ) -> tuple[RecordedFile, OpenFile] | None:
        recording = row.id
        found = next((file for file in files_of(manifest) if file.name == name), None)
        if name == names.MANIFEST:
            found = RecordedFile(name, 0, "application/json", None)
        withdrawn = await self._blocking(lambda: self._books.withdrawn(recording))
        if found is None or is_of(name, withdrawn):
            return None
        keys = self._keys.of(recording) if self._keys is not None else None
        path = self._folder(row.id) / name
        try:
            elsewhere = self.archivist.opener(shelf_of(row.id))
            file = await self._reading(lambda: open_part(path, keys, without=withdrawn, elsewhere=elsewhere))
            size_bytes = await self._reading(lambda: file.seek(0, os.SEEK_END))
        except FileNotFoundError:
            return None
        except SealError as error:
            raise RecordingConflict(f"the file cannot be read: {error}") from error
        if withdrawn:
            found = replace(found, sha256=None)
        return found, OpenFile(file, size_bytes, self._readers, self.transfers, transfer)

    async def delete(self, recording: str) -> None:
        """Remove a finished recording from disk, archive and index; its keys go first.

        Raises: RecordingNotFound, RecordingConflict; ArchiveUnavailable, and then it may be tried again.
        """
        row = await self._known(recording)
        if self._runs.get(recording) is not None or row.state in {
            RecordingState.RECORDING,
            RecordingState.FINISHING,
        }:
            raise RecordingConflict("the recording is not finished: stop it first")
        if await self._store.holds.held([recording]):
            raise RecordingConflict("a legal hold keeps the recording: release it first")
        self._let_go(recording)
        await self.reels.removing(recording)
        if (keys := self._keys) is not None:
            await self._blocking(lambda: keys.forget(recording))
        self._let_go(recording)  # what was opened before its key went
        await self.renditions.remove_all(recording)
        await self.archivist.remove(shelf_of(recording))
        await self._blocking(lambda: self._remove_folders(recording))
        await self._store.recordings.remove(recording)
        _log.info("recording_deleted", recording=recording)

    async def concerned(self, withdrawal: Withdrawal) -> Sequence[str]:
        """Ids of the recordings that may hold what somebody withdraws, newest first. Raises: StoreError."""
        return [row.id for row in await self._books.concerned(withdrawal)]

    async def presence(self, person: str, *, room: str = "") -> Sequence[Presence]:
        """When somebody is in each recording that may hold them, newest first.

        `room`: random id of the room that counts, empty = every one. Of a recording that is not finished, or
        whose manifest cannot be trusted, it is the whole. Raises: StoreError.
        """
        everything = Withdrawal(person=person, at_ms=self._clock.wall_ms(), room=room)
        rows = await self._books.concerned(everything)
        found = [Presence(row.id, await self._spans(row, person)) for row in rows]
        return [presence for presence in found if presence.spans]

    # Inside

    async def _spans(self, row: RecordingRow, person: str) -> tuple[tuple[int, int | None], ...]:
        if row.state in _READABLE:
            try:
                return tuple(spans_of(await self._manifest(row), person))
            except RecordingConflict:
                pass  # nobody knows better than the row
        return ((row.started_at_ms, row.stopped_at_ms),)

    async def _watch_withdrawals(self) -> None:
        """Carry withdrawals out; after a failure of the store all again: done ones cost a look."""
        while True:
            try:
                async for withdrawals in self._rooms.withdrawals.follow():
                    await self._books.withdraw(withdrawals)
                    # From here on nothing is opened of them; what was before goes no further.
                    for withdrawal in withdrawals:
                        self._withdrawn(withdrawal.person, withdrawal.recording)
            except (StoreError, RecorderError) as error:
                _log.error("erasure_not_noted", reason=str(error))
                await self._clock.sleep(_WITHDRAWALS_AGAIN_S)
            else:
                return

    def _withdrawn(self, person: str, recording: str) -> None:
        self.transfers.withdraw(person, recording)
        self.playback.forget(recording)

    def _let_go(self, recording: str) -> None:
        self.transfers.end(recording)
        self.playback.forget(recording)

    def _erased(self, row: RecordingRow, person: str) -> None:
        self._rooms.withdrawals.carried_out(person, room=row.room, recording=row.id)

    def _remove_folders(self, recording: str) -> None:
        for folder in (self._folder(recording), *self._books.aside(recording)):
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, recording: str) -> Path:
        return folder_of(self._store, recording)

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

    async def _agreeing(
        self, recording: str, people: Collection[str], use: Literal["record", "replay"]
    ) -> list[str]:
        """Those who agree to a use of a recording now; a replay is decided as one that goes to a site."""
        row, ledger = await self._known(recording), self._store.ledger
        withdrew = partial(ledger.has_withdrawn, room=row.room, recording=row.id, since_ms=row.started_at_ms)
        left = [person for person in people if not await withdrew(person)]
        if use == "replay":
            return await self._rooms.showable(left, row.room_name, HERE, row.allowed)
        standings = [(person, await ledger.choices_of(person)) for person in left]
        return [person for person, standing in standings if standing.uses.get(RECORD) is not False]

    async def _finished(self, recording: str) -> Manifest:
        row = await self._known(recording)
        if row.state not in _READABLE:
            raise RecordingConflict("the recording is not finished: stop it first")
        return await self._manifest(row)

    async def _manifest(self, row: RecordingRow) -> Manifest:
        path = self._folder(row.id) / names.MANIFEST
        try:
            content = await self._blocking(path.read_bytes)
            return verify(content, self.public_key)
        except (OSError, ManifestInvalid) as error:
            raise RecordingConflict(f"the recording's manifest cannot be trusted: {error}") from error

    def _info(self, row: RecordingRow, held: frozenset[str]) -> RecordingInfo:
        running = self._runs.get(row.id)
        if running is not None:
            return replace(running_info(running, row.room_name), is_held=row.id in held)
        archive = self.archivist.state(shelf_of(row.id))
        return ended_info(row, is_held=row.id in held, archive=archive)

    async def _reading(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)
