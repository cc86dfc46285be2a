"""Carries finished recordings and renditions to the archive, keeps it as the disk says, and fetches from it.

One folder at a time, a few objects of it at once. What is to be sent is found by comparing the folder with a
listing, so a crash or an outage at any point costs the objects that were under way.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeVar

import structlog

from media.tasks import TaskScope
from recorder.archived import (
    Item,
    Note,
    Opener,
    contents,
    found,
    inventory,
    kept,
    opener,
    reached,
    read_note,
    trim,
    write_note,
)
from recorder.errors import NotArchived, RecorderUnavailable
from recorder.outgoing import Outgoing
from recorder.recall import Recall
from recorder.recording import Clock
from recorder.types import ArchiveState, RecorderConfig
from store import Archive, ArchiveUnavailable, Piece, Store

_AGAIN_FIRST_S: Final = 1.0
_AGAIN_MOST_S: Final = 300.0
_LOOK_AGAIN_S: Final = 3_600.0
"""When a folder that cannot go to the archive as it is is looked at again."""
_log = structlog.get_logger("recorder")
T = TypeVar("T")


def shelf_of(recording: str, rendition: str = "") -> str:
    """Where a recording, or a rendition of it, lies: below the blob folder and in the archive alike. PURE."""
    return f"renditions/{recording}/{rendition}" if rendition else f"recordings/{recording}"


@dataclass(slots=True)
class _Job:
    """How far a folder is."""

    state: Literal["waiting", "uploading", "archived", "failed"] = "waiting"
    done_bytes: int = 0
    total_bytes: int = 0
    reason: str | None = None
    again_s: float = _AGAIN_FIRST_S
    due: float = 0.0
    """When it is tried again, monotonic seconds."""


class Archivist:
    """Belongs to one event loop. Without an archive it does nothing, and says when that is not enough.

    A folder goes by its shelf, see `shelf_of`.
    """

    def __init__(self, store: Store, config: RecorderConfig, clock: Clock) -> None:
        """Raises: ArchiveUnavailable when the settings fit no client."""
        self._archive = Archive(config.archive) if config.archive is not None else None
        self._root = store.blobs.root if store.blobs is not None else None
        self._config = config
        self._clock = clock
        self._jobs: dict[str, _Job] = {}
        self._waiting: dict[str, None] = {}
        self._holders: Counter[str] = Counter()
        self._needed: Counter[str] = Counter()
        self._moving: tuple[str, asyncio.Task[None]] | None = None
        self._outgoing = Outgoing(clock)
        self._wake = asyncio.Event()
        self._keeps_versions: bool | None = None
        self._failure: str | None = None
        self._scope = TaskScope("archive")
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="archive-disk")
        self._recall = Recall(self._archive, config.min_free_bytes, self._disk)

    async def open(self) -> None:
        """Begin; what was under way goes on. Raises: OSError."""
        await self._scope.open()
        if self._archive is None or self._root is None:
            return
        root, where, is_copy = self._root, self._archive.config.where, self._config.keeps_local
        for shelf, is_done in await self._blocking(lambda: found(root, where, keeps_local=is_copy)):
            self._jobs[shelf] = _Job(state="archived") if is_done else _Job()
            if not is_done:
                self._waiting[shelf] = None
                self._outgoing.doubt(shelf)  # the server may have died just now, while it sent
        self._scope.start(self._work(), "uploads")

    async def close(self) -> None:
        """Stop; what is under way goes on at the next start."""
        await self._scope.close()
        await self._outgoing.close()
        self._disk.shutdown(wait=False, cancel_futures=True)

    @property
    def waiting(self) -> int:
        """Folders that are not archived yet, those that failed included."""
        return len(self._waiting)

    @property
    def failure(self) -> str | None:
        """Why folders wait; None while they go as they come."""
        return self._failure or self._reason("waiting")

    @property
    def failed(self) -> tuple[int, str | None]:
        """How many folders cannot go to the archive as they are, and why the first one cannot."""
        count = sum(self._jobs[shelf].state == "failed" for shelf in self._waiting)
        return count, self._reason("failed")

    def state(self, shelf: str) -> ArchiveState | None:
        """How far a folder is; None without an archive."""
        job = self._jobs.get(shelf)
        if job is None:
            return None
        return ArchiveState(job.state, job.done_bytes, job.total_bytes, job.reason)

    def add(self, shelf: str) -> None:
        """Have a finished or changed folder archived as it is now."""
        if self._archive is not None:
            self._jobs[shelf] = _Job()
            self._waiting[shelf] = None
            self._wake.set()

    def opener(self, shelf: str) -> Opener:
        """Opens files of a folder that are not on the disk; see `recorder.archived.opener`."""
        return opener(self._folder(shelf), shelf, self._archive)

    def archived(self, shelf: str) -> dict[str, str]:
        """Digests of the files of a folder that are in the archive, by name. Blocks.

        Raises: NotArchived, OSError.
        """
        note = read_note(self._folder(shelf))
        return {name: kept.sha256 for name, kept in note.files.items()} if note is not None else {}

    @asynccontextmanager
    async def still(self, shelf: str) -> AsyncIterator[None]:
        """Nothing of a folder is sent or removed inside; what is under way arrives before, or is given up."""
        self._holders[shelf] += 1
        try:
            await self._stop_moving(shelf)
            yield
        finally:
            self._holders[shelf] -= 1
            if not self._holders[shelf]:
                del self._holders[shelf]
            self._wake.set()

    @asynccontextmanager
    async def here(
        self,
        shelf: str,
        only: Collection[str] | None = None,
        told: Callable[[int, int], None] | None = None,
    ) -> AsyncIterator[None]:
        """The whole folder, or the files `only`, are on the disk inside.

        `told`: hears of how many bytes how many have come.

        Raises: ArchiveUnavailable; RecorderUnavailable when there is no room; RecordingConflict; OSError.
        """
        async with self.still(shelf):
            is_fetched = True
            try:
                is_fetched = await self._recall.fetch(self._folder(shelf), shelf, only, told)
                yield
            finally:
                if is_fetched and not self._config.keeps_local:
                    self.add(shelf)

    @asynccontextmanager
    async def kept_here(
        self, shelf: str, only: Collection[str], told: Callable[[int, int], None]
    ) -> AsyncIterator[None]:
        """The files `only` are on the disk inside, for as long as that takes; what changes is sent meanwhile.

        Raises: as `here`.
        """
        self._needed[shelf] += 1
        try:
            async with self.here(shelf, only, told):
                pass
            yield
        finally:
            self._needed -= Counter([shelf])
            if shelf in self._jobs and not self._config.keeps_local:
                self.add(shelf)

    async def settle(self, shelf: str) -> None:
        """Remove from the archive what the folder does not have any more; the rest is sent later.

        Raises: ArchiveUnavailable, NotArchived, OSError.
        """
        note = await self._blocking(lambda: read_note(self._folder(shelf)))
        if note is None:
            return
        archive = reached(self._archive, note)
        async with self.still(shelf):
            items = await self._items(shelf)
            wanted = {piece.key for item in items for piece in item.stored.pieces()}
            try:
                await self._outgoing.keep_only(archive, shelf, wanted)
            except ArchiveUnavailable as error:
                self._failure = str(error)
                raise
        self.add(shelf)

    async def remove(self, shelf: str) -> None:
        """Remove a folder from the archive. Raises: ArchiveUnavailable, NotArchived, OSError."""
        self._waiting.pop(shelf, None)
        self._jobs.pop(shelf, None)
        async with self.still(shelf):
            note = await self._blocking(lambda: read_note(self._folder(shelf)))
            if note is not None:
                await self._outgoing.keep_only(reached(self._archive, note), shelf, frozenset())

    # Inside

    async def _work(self) -> None:
        again_s = _AGAIN_FIRST_S
        while True:
            self._wake.clear()
            shelf = await self._next()
            if shelf is None:
                continue
            task = asyncio.create_task(self._move(shelf), name="archive-move")
            self._moving = (shelf, task)
            try:
                await asyncio.wait({task})
            finally:
                self._moving = None
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            job = self._jobs.get(shelf)
            if task.cancelled() or job is None:
                continue  # it is held, or gone
            match task.exception():
                case ArchiveUnavailable() as error:
                    job.state, job.reason, self._failure = "waiting", str(error), str(error)
                    _log.warning("archive_unavailable", reason=str(error), count=len(self._waiting))
                    await self._clock.sleep(_about(again_s))
                    again_s = min(2 * again_s, _AGAIN_MOST_S)
                case None:
                    self._failure, again_s = None, _AGAIN_FIRST_S
                case error:
                    self._failure, again_s = None, _AGAIN_FIRST_S
                    self._put_off(shelf, job, error)

    async def _next(self) -> str | None:
        """The folder whose turn it is; None after something happened, or one became due."""
        now = self._clock.monotonic()
        open_ones = [shelf for shelf in self._waiting if shelf not in self._holders]
        shelf = next((shelf for shelf in open_ones if self._jobs[shelf].due <= now), None)
        if shelf is None:
            due = min((self._jobs[shelf].due for shelf in open_ones), default=None)
            try:
                async with asyncio.timeout(None if due is None else due - now):
                    await self._wake.wait()
            except TimeoutError:
                pass
        return shelf

    def _put_off(self, shelf: str, job: _Job, error: BaseException) -> None:
        """This folder did not go, the others do; it is tried again by itself."""
        reason = str(error) or type(error).__name__
        now = self._clock.monotonic()
        if isinstance(error, OSError):
            job.state, job.reason, job.due = "waiting", reason, now + _about(job.again_s)
            job.again_s = min(2 * job.again_s, _AGAIN_MOST_S)
            _log.warning("folder_not_archived", folder=shelf, reason=reason)
        else:
            job.state, job.reason, job.due = "failed", reason, now + _LOOK_AGAIN_S
            self._keeps_versions = None
            _log.error("folder_not_archived", folder=shelf, reason=reason)

    def _reason(self, state: str) -> str | None:
        """Why the first folder in that state is."""
        jobs = (self._jobs[shelf] for shelf in self._waiting)
        return next((job.reason for job in jobs if job.state == state and job.reason), None)

    async def _move(self, shelf: str) -> None:
        """Make the archive hold what the folder holds. Raises: ArchiveUnavailable, NotArchived, OSError."""
        archive, job, folder = self._archive, self._jobs[shelf], self._folder(shelf)
        if archive is None or not await self._blocking(folder.is_dir):
            self._waiting.pop(shelf, None)
            self._jobs.pop(shelf, None)
            return
        if self._keeps_versions is None:
            self._keeps_versions = await archive.check()
        held = await archive.listed(shelf)
        items = await self._items(shelf)
        if self._keeps_versions and not all(item.is_sealed for item in items):
            raise NotArchived(
                "the bucket keeps old versions and the recording is not encrypted, so erasing somebody would "
                "leave them there: turn versioning off, or recorder.encrypt on"
            )
        note = await self._blocking(lambda: read_note(folder))
        if note is None:
            await self._blocking(lambda: write_note(folder, Note(archive.config.where)))
        elif note.where != archive.config.where:
            raise NotArchived(f"it lies in {note.where}: objects are not moved to another bucket or prefix")
        pieces = [(piece, item) for item in items for piece in item.stored.pieces()]
        await archive.remove(held.keys() - {piece.key for piece, _ in pieces})
        left = [(piece, item) for piece, item in pieces if held.get(piece.key) != piece.size_bytes]
        job.state, job.reason = "uploading", None
        job.total_bytes = sum(piece.size_bytes for piece, _ in pieces)
        job.done_bytes = job.total_bytes - sum(piece.size_bytes for piece, _ in left)
        await self._send(archive, left, job, shelf)
        held = await archive.listed(shelf)
        if any(held.get(piece.key) != piece.size_bytes for piece, _ in pieces):
            raise ArchiveUnavailable(f"{archive.config.where} does not list all that was sent")
        whole = Note(archive.config.where, {item.stored.name: kept(item.stored) for item in items})
        await self._blocking(lambda: write_note(folder, whole))
        if not self._config.keeps_local and not self._needed[shelf]:
            await self._blocking(lambda: trim(items))
        job.state = "archived"
        if self._jobs.get(shelf) is job:  # else it changed meanwhile, and is sent again
            self._waiting.pop(shelf, None)
        _log.info("folder_archived", folder=shelf, count=len(left))

    async def _send(self, archive: Archive, left: list[tuple[Piece, Item]], job: _Job, shelf: str) -> None:
        async def lane(pieces: Iterator[tuple[Piece, Item]]) -> None:
            for piece, item in pieces:
                data = await self._blocking(partial(_read, piece, item))
                await self._outgoing.put(archive, piece, data, shelf)
                job.done_bytes += piece.size_bytes

        pieces = iter(left)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._config.archive_uploads):
                    group.create_task(lane(pieces))
        except ExceptionGroup as errors:
            await self._outgoing.give_up(shelf)
            raise errors.exceptions[0] from errors

    async def _items(self, shelf: str) -> list[Item]:
        folder, config = self._folder(shelf), self._config.archive
        piece_bytes = config.piece_bytes if config is not None else 1
        return await self._blocking(lambda: inventory(folder, shelf, contents(folder), piece_bytes))

    async def _stop_moving(self, shelf: str) -> None:
        if self._moving is not None and self._moving[0] == shelf:
            task = self._moving[1]
            task.cancel()
            await asyncio.wait({task})
        await self._outgoing.settle(shelf)

    def _folder(self, shelf: str) -> Path:
        if self._root is None:
            raise RecorderUnavailable("this server keeps nothing on disk: start it with a data folder")
        return self._root / shelf

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)


def _about(s: float) -> float:
    return s * random.uniform(0.75, 1.25)


def _read(piece: Piece, item: Item) -> bytes:
    if item.path is None:
        raise NotArchived(f"{item.stored.name} is missing in the archive, and not on the disk either")
    with item.path.open("rb") as file:
        file.seek(piece.offset)
        data = file.read(piece.size_bytes)
    if len(data) != piece.size_bytes:
        raise NotArchived(f"{item.stored.name} became shorter while it was sent")
    return data
