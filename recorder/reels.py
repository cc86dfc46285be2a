"""Finished recordings for whoever plays them again: what is in one, and its files, opened one by one.

Who may be shown is not decided here. Nothing of somebody is opened unless it is asked for by their id, and
nothing at all of those who have withdrawn.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from media.reel import OpenedPart, Reel, ReelLine, ReelPart, ReelPerson, ReelRefused
from media.sealed import SealError, is_sealed
from recorder import names
from recorder.archivist import Archivist, shelf_of
from recorder.data_keys import DataKeys
from recorder.erasure import withdrawn
from recorder.errors import RecorderError, RecordingConflict
from recorder.journal import read_lines
from recorder.keys import KeyStore
from recorder.manifest import Manifest
from recorder.parts import read_journal
from recorder.people import name_of
from store import NotFound, RecordingRow, RecordingState, Store

_UNPLAYABLE = {
    RecordingState.RECORDING: "it still runs: stop it first",
    RecordingState.FINISHING: "it is being finished: try again in a moment",
    RecordingState.FAILED: "it could not be finished",
}
_HEAD_BYTES = 16
T = TypeVar("T")


class Reels:
    """The recordings of this node as they can be played. Belongs to one event loop.

    `folder_of` is where a recording lies, `manifest_of` its verified manifest; `disk` runs what blocks.
    """

    def __init__(
        self,
        store: Store,
        keys: KeyStore | None,
        disk: Executor,
        archivist: Archivist,
        *,
        folder_of: Callable[[str], Path],
        manifest_of: Callable[[RecordingRow], Awaitable[Manifest]],
    ) -> None:
        self._store = store
        self._keys = keys
        self._disk = disk
        self._archivist = archivist
        self._folder_of = folder_of
        self._manifest_of = manifest_of
        self._on_removal: list[Callable[[str], Awaitable[None]]] = []
        self._on_hold: list[Callable[[str], Awaitable[None]]] = []

    def on_removal(self, callback: Callable[[str], Awaitable[None]]) -> None:
        """Have something called, and waited for, before a recording is deleted."""
        self._on_removal.append(callback)

    async def removing(self, recording: str) -> None:
        """A recording is about to be deleted: whoever plays it ends."""
        for callback in self._on_removal:
            await callback(recording)

    def on_hold(self, callback: Callable[[str], Awaitable[None]]) -> None:
        """Have something called, and waited for, when a legal hold begins to bind a recording."""
        self._on_hold.append(callback)

    async def held(self, recording: str) -> None:
        """A legal hold binds a recording from now on: whoever plays it ends."""
        for callback in self._on_hold:
            await callback(recording)

    async def reel(self, recording: str) -> Reel:
        """What is in a recording. Raises: ReelRefused when it cannot be played; StoreError."""
        row, manifest = await self._playable(recording)
        gone = await self._blocking(lambda: withdrawn(self._folder_of(recording)))
        mutes = {track.track: tuple(track.mutes) for track in manifest.tracks}
        return Reel(
            recording=recording,
            room=row.room,
            room_name=row.room_name,
            started_ms=row.started_at_ms,
            duration_ms=manifest.duration_ms,
            people=tuple(
                ReelPerson(
                    person=entry.person, spans=tuple((join.from_ms, join.to_ms) for join in entry.grants)
                )
                for entry in manifest.people
                if entry.person not in gone
            ),
            parts=tuple(
                ReelPart(
                    name=file.name,
                    person=file.person,
                    kind=file.kind,
                    source=file.source,
                    start_ms=file.start_ms,
                    end_ms=file.end_ms,
                    mutes=mutes.get(file.track, ()),
                )
                for file in sorted(manifest.files, key=lambda file: file.start_ms)
                if file.person not in gone
            ),
            uses=row.allowed,
        )

    async def names(self, recording: str, people: Collection[str]) -> Mapping[str, str]:
        """Screen name by person, of these people alone. Raises: ReelRefused, StoreError."""
        _, manifest = await self._playable(recording)
        asked = [entry for entry in manifest.people if entry.person in people]
        keys = self._keys_of(recording)
        return await self._blocking(lambda: {entry.person: name_of(entry, keys) for entry in asked})

    async def lines(self, recording: str, people: Collection[str]) -> Sequence[ReelLine]:
        """What these people wrote, by time; no line of anybody else is opened. Raises: ReelRefused."""
        keys = self._keys_of(recording)

        def key_of(person: str) -> bytes | None:
            return keys.get(person) if keys is not None and person in people else None

        def work() -> list[ReelLine]:
            journal = read_journal(self._folder_of(recording) / names.CHAT)
            return [
                ReelLine(at_ms=at_ms, person=str(line["person"]), text=str(line.get("text", "")))
                for line in read_lines(journal, key_of)
                if line.get("person") in people and isinstance(at_ms := line.get("at_ms"), int)
            ]

        try:
            return sorted(await self._blocking(work), key=lambda line: line.at_ms)
        except (OSError, RecorderError) as error:
            raise ReelRefused("conflict", f"the chat cannot be read: {error}") from error

    @asynccontextmanager
    async def fetched(
        self, recording: str, parts: Collection[str], told: Callable[[int, int], None]
    ) -> AsyncIterator[None]:
        """The parts of these names are on the disk inside, fetched from the archive before it begins.

        `told`: hears of how many bytes how many have come. Raises: ReelRefused when they cannot be.
        """
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._archivist.kept_here(shelf_of(recording), parts, told))
            except (OSError, RecorderError) as error:
                raise ReelRefused("conflict", f"it cannot be fetched from the archive: {error}") from error
            yield

    async def open(self, recording: str, part: ReelPart) -> OpenedPart:
        """Open one file, with what it is sealed with. Raises: ReelRefused when it is gone, or its key."""
        keys = self._keys_of(recording)

        def work() -> OpenedPart:
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(self._folder_of(recording) / part.name, flags)
            try:
                return OpenedPart(fd, _key(fd, part, keys))
            except BaseException:
                os.close(fd)
                raise

        try:
            async with self._archivist.here(shelf_of(recording), (part.name,)):
                return await self._opened(work)
        except (OSError, SealError, RecorderError) as error:
            raise ReelRefused("conflict", f"{part.name} cannot be opened: {error}") from error

    async def _opened(self, work: Callable[[], OpenedPart]) -> OpenedPart:
        """A descriptor that nobody waits for any more is closed."""
        opening = asyncio.get_running_loop().run_in_executor(self._disk, work)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise

    async def _playable(self, recording: str) -> tuple[RecordingRow, Manifest]:
        try:
            row = await self._store.recordings.get(recording)
        except NotFound as error:
            raise ReelRefused("not_found", f"no recording {recording[:64]!r}") from error
        if row.state in _UNPLAYABLE:
            raise ReelRefused("conflict", f"the recording cannot be played: {_UNPLAYABLE[row.state]}")
        if await self._store.holds.held([recording]):
            raise ReelRefused(
                "conflict", "a legal hold keeps the recording: it is shown nowhere until the hold is released"
            )
        try:
            return row, await self._manifest_of(row)
        except RecordingConflict as error:
            raise ReelRefused("conflict", str(error)) from error

    def _keys_of(self, recording: str) -> DataKeys | None:
        return self._keys.of(recording) if self._keys is not None else None

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)


def _key(fd: int, part: ReelPart, keys: DataKeys | None) -> bytes:
    """What the file is sealed with; empty when it is not. Raises: SealError."""
    if not is_sealed(os.pread(fd, _HEAD_BYTES, 0)):
        return b""
    key = keys.get(part.person) if keys is not None else None
    if key is None:
        raise SealError("its key was destroyed, or belongs to another server")
    return key


def _close_unwanted(opening: "asyncio.Future[OpenedPart]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result().fd)
