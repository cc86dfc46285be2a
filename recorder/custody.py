"""How long recordings are kept: retention that ends, legal holds that bind, and what came of withdrawals."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import structlog

from recorder.errors import RecorderError, RecordingConflict, RecordingNotFound
from recorder.recording import Clock
from recorder.recover import Books
from recorder.types import ErasedCopy, Erasure
from rooms import RoomService
from store import (
    ArchiveUnavailable,
    Hold,
    LedgerKind,
    NotFound,
    RecordingRow,
    RecordingState,
    Store,
    StoreError,
)

SWEEP_EVERY_S: Final = 60.0
_log = structlog.get_logger("recorder")


class Custody:
    """Belongs to one event loop.

    `delete` removes a recording that nothing binds; `held` ends what shows a recording that a hold binds;
    `copies(recording, person)` tells what became of composed files that held somebody who withdrew.
    """

    def __init__(
        self,
        rooms: RoomService,
        store: Store,
        books: Books,
        clock: Clock,
        delete: Callable[[str], Awaitable[None]],
        held: Callable[[str], Awaitable[None]],
        copies: Callable[[str, str], Awaitable[tuple[ErasedCopy, ...]]],
    ) -> None:
        self._rooms = rooms
        self._store = store
        self._books = books
        self._clock = clock
        self._delete = delete
        self._held = held
        self._copies = copies

    async def sweep_forever(self) -> None:
        """Look once a minute for what has expired, and for erasures that a hold kept back."""
        while True:
            try:
                await self.sweep()
            except (StoreError, OSError) as error:
                _log.error("sweep_failed", reason=str(error))
            await self._clock.sleep(SWEEP_EVERY_S)

    async def sweep(self) -> None:
        """Delete what has expired and is not held; carry out what a hold delayed.

        Raises: StoreError, OSError.
        """
        rows = await self._store.recordings.expired()
        held = await self._store.holds.held([row.id for row in rows])
        for row in rows:
            if row.id in held:
                continue
            try:
                await self._delete(row.id)
            except (RecorderError, ArchiveUnavailable) as error:
                _log.info("recording_not_expired", recording=row.id, reason=str(error))
                continue
            self._rooms.withdrawals.kept(LedgerKind.RECORDING_EXPIRED, room=row.room, recording=row.id)
            _log.info("recording_expired", recording=row.id)
        await self._books.queue_delayed()

    async def hold(self, recording: str, *, reason: str, by: str, until_ms: int | None) -> Hold:
        """Keep a recording from being deleted; when this returns its replays have ended.

        Raises: RecordingNotFound, RecordingConflict.
        """
        row = await self._row(recording)
        if until_ms is not None and until_ms <= self._clock.wall_ms():
            raise RecordingConflict("the hold would have ended already: until_ms is Unix time in ms")
        hold = await self._store.holds.place(recording, reason=reason, by=by, until_ms=until_ms)
        self._rooms.withdrawals.kept(LedgerKind.RECORDING_HELD, room=row.room, recording=recording)
        _log.info("recording_held", recording=recording)
        await self._held(recording)
        return hold

    async def release(self, recording: str, hold: str, *, by: str) -> Hold:
        """End a hold; erasures that it delayed follow. Raises: RecordingNotFound."""
        row = await self._row(recording)
        try:
            released = await self._store.holds.release(recording, hold, by=by)
        except NotFound as error:
            raise RecordingNotFound(str(error)) from error
        self._rooms.withdrawals.kept(LedgerKind.RECORDING_RELEASED, room=row.room, recording=recording)
        await self._books.queue_delayed()
        return released

    async def holds(self, recording: str) -> tuple[Hold, ...]:
        """All holds of a recording, ended ones too. Raises: RecordingNotFound."""
        await self._row(recording)
        return await self._store.holds.of(recording)

    async def erasures(self, person: str) -> tuple[Erasure, ...]:
        """What came of a person's withdrawals, for each recording that held them or may hold them.

        Raises: StoreError.
        """
        asked, erased = await self._rooms.withdrawals.of(person)
        concerned = await self._books.concerned(*asked) if asked else ()
        left = {row.id: row for row in concerned if row.state != RecordingState.FAILED}
        held = await self._store.holds.held(left)
        found = [Erasure(row, "held" if row in held else "pending", None) for row in left]
        found += [Erasure(row, "erased", at_ms) for row, at_ms in erased.items() if row not in left]
        return tuple([replace(item, copies=await self._copies(item.recording, person)) for item in found])

    async def _row(self, recording: str) -> RecordingRow:
        try:
            return await self._store.recordings.get(recording)
        except NotFound as error:
            raise RecordingNotFound(str(error)) from error
