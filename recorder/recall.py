"""Brings files of a folder back from the archive to the disk, for whoever needs them as files."""

import asyncio
import itertools
import shutil
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from recorder import names
from recorder.archived import Kept, contents, opener, reached, read_note
from recorder.erasure import withdrawn
from recorder.errors import RecorderUnavailable, RecordingConflict
from recorder.files import sha256_of, sync_path
from recorder.listing import is_of
from store import Archive

_CHUNK_BYTES: Final = 4 << 20
T = TypeVar("T")


class Recall:
    """Belongs to one event loop; `disk` runs what blocks, a few MiB at a time."""

    def __init__(self, archive: Archive | None, min_free_bytes: int, disk: Executor) -> None:
        """`min_free_bytes`: that much stays free."""
        self._archive = archive
        self._min_free_bytes = min_free_bytes
        self._disk = disk
        self._numbers = itertools.count()

    async def fetch(
        self,
        folder: Path,
        shelf: str,
        only: Collection[str] | None,
        told: Callable[[int, int], None] | None = None,
    ) -> bool:
        """Bring all files, or `only` these, that are in the archive alone; whether there were any.

        Of whoever has withdrawn nothing is fetched. `told`: hears of how many bytes how many have come.

        Raises: ArchiveUnavailable; RecorderUnavailable when there is no room; RecordingConflict when one came
        back damaged; NotArchived, OSError.
        """
        note = await self._blocking(lambda: read_note(folder))
        if note is None:
            return False
        gone = await self._blocking(lambda: withdrawn(folder))
        here = await self._blocking(lambda: {name for name in note.files if (folder / name).exists()})
        missing = {
            name: kept
            for name, kept in note.files.items()
            if (only is None or name in only) and not is_of(name, gone) and name not in here
        }
        if not missing:
            return False
        reached(self._archive, note)
        total_bytes = sum(kept.size_bytes for kept in missing.values())
        needed = total_bytes + self._min_free_bytes
        free = await self._blocking(lambda: shutil.disk_usage(folder).free)
        if free < needed:
            raise RecorderUnavailable(
                f"fetching it from the archive needs {needed >> 20} MiB, {free >> 20} are free: make room"
            )
        done_bytes = 0

        def came(size_bytes: int) -> None:
            nonlocal done_bytes
            done_bytes += size_bytes
            if told is not None:
                told(done_bytes, total_bytes)

        came(0)
        for name, kept in missing.items():
            try:
                await self._fetch_file(folder, shelf, name, kept, came)
            except (OSError, RecordingConflict):
                if not await self._blocking(partial(_is_gone, folder, name)):
                    raise
        return True

    async def _fetch_file(
        self, folder: Path, shelf: str, name: str, kept: Kept, came: Callable[[int], None]
    ) -> None:
        temporary = folder / f"{name}.{next(self._numbers)}{names.TEMPORARY}"
        source = await self._blocking(lambda: opener(folder, shelf, self._archive)(name))
        try:
            with source, temporary.open("xb") as target:
                while data := await self._blocking(lambda: source.read(_CHUNK_BYTES)):
                    await self._blocking(partial(target.write, data))
                    came(len(data))
            if await self._blocking(lambda: sha256_of(temporary)) != kept.sha256:
                raise RecordingConflict(f"{name} came back from the archive damaged")
            await self._blocking(lambda: sync_path(temporary))
            await self._blocking(partial(_place, temporary, folder, name))
        finally:
            await self._blocking(partial(temporary.unlink, missing_ok=True))

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)


def _place(temporary: Path, folder: Path, name: str) -> None:
    if not _is_gone(folder, name):
        temporary.replace(folder / name)


def _is_gone(folder: Path, name: str) -> bool:
    """Whether its person withdrew while it was fetched. Raises: NotArchived, OSError."""
    return is_of(name, withdrawn(folder)) or name not in contents(folder)
