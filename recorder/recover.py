"""The books of recordings: each stopped or crashed one is finished, or put aside; erasures are carried out.

One job at a time, in its own process, beside whatever runs live. What is to be done is on the disk before it
is begun, so a crash at any point only means that the next start does it.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, TypeVar

import structlog

from recorder import names
from recorder.archivist import Archivist, shelf_of
from recorder.erasure import concerns, people_in, scrub, withdrawn
from recorder.errors import ManifestInvalid, RecorderError, RecorderUnavailable
from recorder.files import NO_ROOM
from recorder.finishing import FinishFailed, Signer
from recorder.keys import KeyStore
from recorder.manifest import Manifest, verify
from recorder.recording import Clock
from rooms import Withdrawal
from store import NotFound, RecordingRow, RecordingState, Store, StoreError

JOBS_MAX: Final = 10_000
CRASHED: Final = "the server ended while it ran"
_ATTEMPTS: Final = 2
_PLAIN_ENDS: Final = frozenset({"stopped", "room_closed", "shutting_down", "closed"})
_READABLE: Final = frozenset({RecordingState.FINISHED, RecordingState.INTERRUPTED})
_PAGE: Final = 200
_DAY_MS: Final = 86_400_000
_log = structlog.get_logger("recorder")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    kind: Literal["finish", "erase"]
    recording: str
    person: str = ""


class TakesOut(Protocol):
    """Takes a person out of copies of a recording; bytes that a legal hold binds stay, out of use."""

    async def __call__(self, recording: str, person: str, *, is_held: bool) -> None:
        """Raises: StoreError, OSError."""


class Books:
    """Does the jobs of one node. Belongs to one event loop; `disk` runs what blocks on the disk.

    `copies` takes somebody out of what was made of a recording, also while a legal hold keeps its parts;
    `erased(recording, person)` is called when they are out of all.
    """

    def __init__(
        self,
        store: Store,
        signer: Signer,
        disk: Executor,
        clock: Clock,
        erased: Callable[[RecordingRow, str], None],
        keys: KeyStore | None,
        copies: TakesOut,
        archivist: Archivist,
    ) -> None:
        self._store = store
        self._signer = signer
        self._disk = disk
        self._clock = clock
        self._erased = erased
        self._keys = keys
        self._copies = copies
        self._archivist = archivist
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(JOBS_MAX)
        self._waiting: dict[str, asyncio.Event] = {}
        self._unfinished: set[str] = set()

    @property
    def unfinished(self) -> int:
        """Stopped recordings that wait for room on the disk to be finished."""
        return len(self._unfinished)

    async def recover(self) -> None:
        """Queue what a crash left, before anything new begins. Raises: StoreError, OSError."""
        rows = await self._store.recordings.in_states(RecordingState.RECORDING, RecordingState.FINISHING)
        for row in rows:
            if row.state == RecordingState.RECORDING:
                await self._store.recordings.change(
                    row.id,
                    state=RecordingState.FINISHING,
                    reason=CRASHED,
                    stopped_at_ms=self._clock.wall_ms(),
                )
            self._queue(_Job("finish", row.id))
        for folder in await self._blocking(self._folders):
            try:
                row = await self._store.recordings.get(folder.name)
            except NotFound:
                await self._put_aside(folder)
                continue
            if row.state in _READABLE:
                await self._queue_erasures(row)

    async def work(self) -> None:
        """Do jobs until cancelled; one that fails is logged and tried again at the next start."""
        while True:
            job = await self._jobs.get()
            try:
                if job.kind == "finish":
                    await self._finish(job.recording)
                else:
                    await self._erase(job.recording, job.person)
            except NotFound:
                _log.info("recording_gone", recording=job.recording)
            except (StoreError, OSError, RecorderError) as error:
                _log.error("recording_job_failed", recording=job.recording, reason=str(error))
                if job.kind == "finish" and getattr(error, "errno", None) in NO_ROOM:
                    self._unfinished.add(job.recording)
            finally:
                self._jobs.task_done()
                if job.kind == "finish":
                    self._waiting.pop(job.recording, asyncio.Event()).set()

    async def stopped(self, recording: str, reason: str, size_bytes: int) -> None:
        """A recording's worker is gone: finish the folder. Raises: StoreError."""
        await self._store.recordings.change(
            recording,
            state=RecordingState.FINISHING,
            reason=reason,
            stopped_at_ms=self._clock.wall_ms(),
            size_bytes=size_bytes,
        )
        self._queue(_Job("finish", recording))

    async def wait_for(self, recording: str, patience_s: float) -> None:
        """Wait until a stopped recording is finished, at most `patience_s`; another is not waited for."""
        waiting = self._waiting.get(recording)
        if waiting is None:
            return
        try:
            async with asyncio.timeout(patience_s):
                await waiting.wait()
        except TimeoutError:
            _log.info("recording_still_finishing", recording=recording)

    async def drain(self, patience_s: float) -> None:
        """Wait until no job is left, at most `patience_s`."""
        try:
            async with asyncio.timeout(patience_s):
                await self._jobs.join()
        except TimeoutError:
            _log.info("recording_jobs_left", count=self._jobs.qsize())

    # Erasure: the request is a file in the recording's folder until it is carried out.

    async def withdraw(self, withdrawals: Sequence[Withdrawal]) -> None:
        """Note the erasures for every recording that may hold one of the people. Raises: StoreError."""
        async for row in self._rows():
            for person in {item.person for item in withdrawals if concerns(row, item)}:
                try:
                    if row.state == RecordingState.FAILED:
                        await self._scrub(row, person)
                    else:
                        await self._note_erasure(row, person)
                except NotFound:
                    continue
                except OSError as error:
                    _log.error("erasure_not_noted", recording=row.id, reason=str(error))

    async def queue_delayed(self) -> None:
        """Queue what waits: for room on the disk, and erasures in folders nobody holds any more.

        Raises: StoreError, OSError.
        """
        for recording in sorted(self._unfinished - self._waiting.keys()):
            self._queue(_Job("finish", recording))
        waiting = await self._blocking(
            lambda: [folder.name for folder in self._folders() if any(folder.glob(f"{names.ERASE}*"))]
        )
        held = await self._store.holds.held(waiting)
        for recording in waiting:
            if recording in held:
                continue
            try:
                row = await self._store.recordings.get(recording)
            except NotFound:
                continue
            if row.state in _READABLE:
                await self._queue_erasures(row)

    def withdrawn(self, recording: str) -> frozenset[str]:
        """People whose erasure from a recording is asked for and not done yet. Blocks. Raises: OSError."""
        return withdrawn(self._folder(recording))

    async def concerned(self, *withdrawals: Withdrawal) -> tuple[RecordingRow, ...]:
        """The recordings that may hold what somebody withdraws, newest first. Raises: StoreError."""
        return tuple([row async for row in self._rows() if any(concerns(row, item) for item in withdrawals)])

    def aside(self, recording: str) -> list[Path]:
        """Where a folder of the recording lies that nobody could finish. Blocks. Raises: OSError."""
        folder = self._folder(recording).parent.parent / names.QUARANTINE
        return sorted(folder.glob(f"{recording}.*"))

    async def _rows(self) -> AsyncIterator[RecordingRow]:
        after: str | None = None
        while True:
            rows, after = await self._store.recordings.page(limit=_PAGE, after=after)
            for row in rows:
                yield row
            if after is None:
                return

    async def _note_erasure(self, row: RecordingRow, person: str) -> None:
        """Keep the request on disk until it is carried out, in a finished recording.

        Raises: StoreError, OSError.
        """
        if not names.is_person(person):
            return
        await self._blocking(self._request(row.id, person).touch)
        # It may have been finished meanwhile, and then nobody would look for the request again.
        if (await self._store.recordings.get(row.id)).state in _READABLE:
            self._queue(_Job("erase", row.id, person))

    async def _scrub(self, row: RecordingRow, person: str) -> None:
        """Take a person out of what was put aside. Raises: OSError."""
        if not names.is_person(person):
            return

        def work() -> bool:
            had_key = self._keys is not None and self._keys.of(row.id).destroy(person)
            return sum(scrub(folder, person) for folder in self.aside(row.id)) > 0 or had_key

        if await self._blocking(work):
            self._erased(row, person)

    async def _queue_erasures(self, row: RecordingRow) -> None:
        """Queue the requests in a finished folder; one for somebody who is not in it is done already."""
        folder, people = self._folder(row.id), row.details.get("people")
        for request in await self._blocking(lambda: sorted(folder.glob(f"{names.ERASE}*"))):
            person = request.name.removeprefix(names.ERASE)
            if isinstance(people, list) and person not in people:
                await self._blocking(request.unlink)
            else:
                self._queue(_Job("erase", row.id, person))

    # Jobs

    async def _finish(self, recording: str) -> None:
        row = await self._store.recordings.get(recording)
        folder = self._folder(recording)
        for attempt in range(_ATTEMPTS):
            try:
                manifest = await self._signer.finish(folder)
                break
            except FinishFailed as error:
                _log.warning("finish_failed", recording=recording, reason=str(error), count=attempt + 1)
                if error.is_full:
                    self._unfinished.add(recording)  # tried again when there is room
                    return
                failure = str(error)
        else:
            self._unfinished.discard(recording)
            await self._fail(row, folder, failure)
            return
        self._unfinished.discard(recording)
        reason = row.reason or manifest.reason
        is_whole = manifest.state == "finished" and reason in _PLAIN_ENDS
        row = await self._keep(
            recording,
            manifest,
            state=RecordingState.FINISHED if is_whole else RecordingState.INTERRUPTED,
            reason="" if reason == "stopped" else reason,
        )
        _log.info("recording_finished", recording=recording, count=len(manifest.files), reason=reason)
        self._archivist.add(shelf_of(recording))
        await self._queue_erasures(row)

    async def _fail(self, row: RecordingRow, folder: Path, failure: str) -> None:
        """A folder that nobody can finish: aside with it, and out of it who asked for that."""
        requests = await self._blocking(lambda: sorted(folder.glob(f"{names.ERASE}*")))
        await self._put_aside(folder)
        await self._store.recordings.change(
            row.id, state=RecordingState.FAILED, reason=f"put aside: {failure}"
        )
        for request in requests:
            await self._scrub(row, request.name.removeprefix(names.ERASE))

    async def _erase(self, recording: str, person: str) -> None:
        request = self._request(recording, person)
        if not await self._blocking(request.exists):
            return  # asked for twice, done once
        is_held = bool(await self._store.holds.held([recording]))
        await self._copies(recording, person, is_held=is_held)
        if is_held:
            _log.info("erasure_held", recording=recording)
            return  # the request stays: nothing of them is given out until it is carried out
        shelf = shelf_of(recording)
        async with self._archivist.still(shelf):
            manifest = await self._without(recording, person)
        # What was archived of them goes before anybody is told that it is gone.
        await self._archivist.settle(shelf)
        _log.info("recording_person_erased", recording=recording)
        self._erased(await self._keep(recording, manifest), person)
        await self._blocking(request.unlink)

    async def _without(self, recording: str, person: str) -> Manifest:
        """The signed manifest of a recording that somebody is out of. Raises: FinishFailed, OSError."""
        folder = self._folder(recording)
        manifest = await self._blocking(lambda: signed(folder, self._signer.public_key))
        if manifest is not None and person not in people_in(manifest):
            return manifest  # the archive did not answer when they were taken out
        archived = await self._blocking(lambda: self._archivist.archived(shelf_of(recording)))
        return await self._signer.erase(folder, person, archived)

    async def _keep(
        self,
        recording: str,
        manifest: Manifest,
        *,
        state: RecordingState | None = None,
        reason: str | None = None,
    ) -> RecordingRow:
        row = await self._store.recordings.get(recording)
        days, ended_ms = row.details.get("retention_days"), row.stopped_at_ms
        sizes = [file.size_bytes for file in manifest.files] + [file.size_bytes for file in manifest.others]
        return await self._store.recordings.change(
            recording,
            state=state,
            reason=reason,
            size_bytes=sum(sizes),
            details={**row.details, "people": people_in(manifest)},
            expires_at_ms=None if days is None or ended_ms is None else ended_ms + days * _DAY_MS,
        )

    async def _put_aside(self, folder: Path) -> None:
        """Move a folder out of the way, for an operator to look at."""

        def move() -> None:
            if not folder.is_dir():
                return
            aside = folder.parent.parent / names.QUARANTINE
            aside.mkdir(mode=0o700, exist_ok=True)
            shutil.move(folder, aside / f"{folder.name}.{self._clock.wall_ms()}")

        await self._blocking(move)
        _log.error("recording_put_aside", recording=folder.name)

    def _queue(self, job: _Job) -> None:
        if job.kind == "finish":
            self._waiting.setdefault(job.recording, asyncio.Event())
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            # The rows say what is left to do: the next start does it.
            _log.error("recording_jobs_full", recording=job.recording)

    def _folder(self, recording: str) -> Path:
        if self._store.blobs is None:
            raise RecorderUnavailable("this server keeps nothing on disk")
        return self._store.blobs.path("recordings", recording)

    def _request(self, recording: str, person: str) -> Path:
        return self._folder(recording) / f"{names.ERASE}{person}"

    def _folders(self) -> list[Path]:
        root = self._store.blobs.root / "recordings" if self._store.blobs is not None else None
        if root is None or not root.is_dir():
            return []
        return [path for path in root.iterdir() if path.is_dir() and not path.is_symlink()]

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)


def signed(folder: Path, public_key: bytes) -> Manifest | None:
    """The manifest of a folder; None without one that verifies. Blocks."""
    try:
        return verify((folder / names.MANIFEST).read_bytes(), public_key)
    except (OSError, ManifestInvalid):
        return None
