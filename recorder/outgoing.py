"""Objects on their way to the archive, so that what is erased there stays away.

A request that nobody waits for any more may still be carried out. So whoever erases waits for the answers
first, and lists again for as long as something without an answer may appear.
"""

import asyncio
from collections.abc import Collection
from typing import Final

from recorder.recording import Clock
from store import Archive, ArchiveUnavailable, Piece

_PATIENCE_S: Final = 10.0
"""How long an erasure waits for the bucket's answers to what is being sent."""
_LATE_S: Final = 30.0
"""How long after it was given up an object may still appear in the bucket."""
_LIST_AGAIN_S: Final = 1.0
_LOOK_S: Final = 0.1
"""How soon after a removal the bucket is asked whether it took it."""


class Outgoing:
    """Belongs to one event loop. A folder goes by its shelf."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._puts: dict[asyncio.Task[None], str] = {}
        self._unsure: dict[str, float] = {}
        """Until when objects of a folder may appear that nobody waits for, monotonic seconds."""

    def doubt(self, shelf: str) -> None:
        """An object of that folder may be on its way without anybody who waits for it."""
        self._unsure[shelf] = self._clock.monotonic() + _LATE_S

    async def put(self, archive: Archive, piece: Piece, data: bytes, shelf: str) -> None:
        """Send one object; it goes on when whoever called is cancelled. Raises: ArchiveUnavailable."""
        task = asyncio.create_task(self._put(archive, piece, data, shelf), name="archive-put")
        self._puts[task] = shelf
        task.add_done_callback(self._ended)
        await asyncio.shield(task)

    async def settle(self, shelf: str) -> None:
        """Wait for what is being sent of a folder; what is not answered in time is given up."""
        await self._end(shelf, _PATIENCE_S)

    async def give_up(self, shelf: str) -> None:
        """Wait for nothing that is being sent of a folder."""
        await self._end(shelf, 0)

    async def close(self) -> None:
        """Give up everything."""
        for shelf in set(self._puts.values()):
            await self.give_up(shelf)

    async def keep_only(self, archive: Archive, shelf: str, wanted: Collection[str]) -> None:
        """Remove all objects of a folder but the wanted ones, until none can come; nothing is sent meanwhile.

        Raises: ArchiveUnavailable.
        """
        last = self._clock.monotonic() + _LATE_S + _PATIENCE_S
        while True:
            is_sure = self._clock.monotonic() >= self._unsure.get(shelf, 0.0)
            found = (await archive.listed(shelf)).keys() - set(wanted)
            if not found and is_sure:
                self._unsure.pop(shelf, None)
                return
            if self._clock.monotonic() > last:
                raise ArchiveUnavailable("the bucket goes on listing what was removed from it")
            await archive.remove(found)
            await self._clock.sleep(_LIST_AGAIN_S if not is_sure else _LOOK_S)

    async def _put(self, archive: Archive, piece: Piece, data: bytes, shelf: str) -> None:
        try:
            await archive.put(piece, data)
        except BaseException:
            self.doubt(shelf)
            raise

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._puts.pop(task, None)
        if not task.cancelled():
            task.exception()  # told to whoever still waits

    async def _end(self, shelf: str, patience_s: float) -> None:
        puts = [task for task, of in self._puts.items() if of == shelf]
        if puts:
            await asyncio.wait(puts, timeout=patience_s)
        for task in puts:
            task.cancel()
        await asyncio.gather(*puts, return_exceptions=True)
