"""Reads files of finished recordings for downloads and players: plain bytes from any place, in a thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import BinaryIO, TypeVar

from media.sealed import SealError
from recorder.errors import RecordingConflict
from recorder.transfers import Transfer, Transfers, ended

READ_MAX_BYTES = 1 << 20
T = TypeVar("T")


class OpenFile:
    """One file that is being read. Belongs to one task; `close` it."""

    def __init__(
        self, file: BinaryIO, size_bytes: int, disk: Executor, transfers: Transfers, transfer: Transfer
    ) -> None:
        self._file = file
        self._disk = disk
        self._transfers = transfers
        self._transfer = transfer
        transfer.is_given = True
        self.size_bytes = size_bytes
        """Of the plain file."""

    @property
    def is_ended(self) -> bool:
        """Whether it is not given out any more."""
        return self._transfer.is_ended

    def on_end(self, callback: Callable[[], None]) -> None:
        """Have something called when it may not go on: nothing that was read is to be sent any more."""
        self._transfer.on_end(callback)

    async def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes (1 MiB at most) from a place; nothing at the end.

        Raises: RecordingConflict when the file is damaged, or not given out any more; OSError.
        """
        if self._transfer.is_ended:
            raise ended()

        def work() -> bytes:
            self._file.seek(offset)
            return self._file.read(min(size, READ_MAX_BYTES))

        try:
            piece = await _run(self._disk, work)
        except SealError as error:
            raise RecordingConflict(f"the file is damaged: {error}") from error
        if self._transfer.is_ended:
            raise ended()
        return piece

    async def close(self) -> None:
        """Let the file go."""
        self._transfers.finish(self._transfer)
        await asyncio.shield(_run(self._disk, self._file.close))


async def _run(disk: Executor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(disk, work)
