"""The way to the ledger: grants wait for it and are refused without it, revocations never wait."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from media.tasks import TaskScope
from rooms.clock import Clock, Timer
from rooms.errors import RoomsError
from store import Head, LedgerBroken, LedgerEntry, StoreError

_log = structlog.get_logger("rooms")


class AppendsEntries(Protocol):
    """The part of `store.Ledger` that the keeper needs."""

    async def append(self, *entries: LedgerEntry) -> Head:
        """Write all entries, or none.

        Raises: StoreError.
        """
        ...


class LedgerUnavailable(RoomsError):
    """The ledger could not take an entry that a grant depends on."""

    code = "unavailable"


@dataclass(slots=True)
class _Batch:
    entries: tuple[LedgerEntry, ...]
    is_kept: bool
    written: "asyncio.Future[bool]"


class LedgerKeeper:
    """Appends in the order of the calls, everything that waits in one write.

    An entry of `note` that cannot be written fails its caller. An entry of `queue` is kept and retried
    every `retry_s`, with an alert in the log; beyond `limit` waiting entries it is given up with an alert
    of its own.
    """

    def __init__(
        self, ledger: AppendsEntries, clock: Clock, scope: TaskScope, *, retry_s: float, limit: int
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._scope = scope
        self._retry_s = retry_s
        self._limit = limit
        self._waiting: deque[_Batch] = deque()
        self._in_flight: list[_Batch] = []
        self._is_flushing = False
        self._retry: Timer | None = None
        self._lost = 0
        self.is_failing = False
        """Whether the newest attempt failed."""
        self.on_heal: Callable[[], None] = lambda: None
        """Called when the ledger takes entries again after a failure."""

    @property
    def waiting(self) -> int:
        """Entries that wait to be written."""
        return sum(len(batch.entries) for batch in [*self._in_flight, *self._waiting])

    @property
    def lost(self) -> int:
        """Revocations that were never written: too many waited, or the ledger is broken."""
        return self._lost

    async def note(self, *entries: LedgerEntry) -> None:
        """Write entries that a grant depends on.

        Raises: LedgerUnavailable; they are not written later then.
        """
        written = self._add(entries, is_kept=False)
        await asyncio.shield(written)

    def queue(self, *entries: LedgerEntry) -> "asyncio.Future[bool]":
        """Write entries in any case, now or later; the future tells whether the first attempt did it."""
        return self._add(entries, is_kept=True)

    def close(self) -> None:
        """Stop retrying; what waits is reported as lost."""
        if self._retry is not None:
            self._retry.cancel()
        if self.waiting:
            self._give_up(list(self._waiting), "closed")
            self._waiting.clear()

    def _add(self, entries: tuple[LedgerEntry, ...], *, is_kept: bool) -> "asyncio.Future[bool]":
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        # A caller may be gone by the time it fails: that failure is then nobody's.
        written.add_done_callback(lambda future: None if future.cancelled() else future.exception())
        self._waiting.append(_Batch(entries, is_kept, written))
        self._kick()
        return written

    def _kick(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if not self._is_flushing and self._waiting:
            self._is_flushing = True
            self._scope.start(self._flush(), "ledger")

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batches = self._in_flight = list(self._waiting)
                self._waiting.clear()
                try:
                    await self._ledger.append(*(entry for batch in batches for entry in batch.entries))
                except StoreError as error:
                    self._in_flight = []
                    self._failed(batches, error)
                    return
                self._in_flight = []
                self._succeeded(batches)
        finally:
            self._in_flight = []
            self._is_flushing = False

    def _succeeded(self, batches: list[_Batch]) -> None:
        for batch in batches:
            if not batch.written.done():
                batch.written.set_result(True)
        if self.is_failing:
            self.is_failing = False
            _log.info("ledger_append_recovered", count=sum(len(batch.entries) for batch in batches))
            self.on_heal()

    def _failed(self, batches: list[_Batch], error: StoreError) -> None:
        if not self.is_failing:
            _log.error("ledger_append_failed", code=error.code, reason=str(error))
        self.is_failing = True
        newer = list(self._waiting)
        self._waiting.clear()
        kept: list[_Batch] = []
        for batch in batches + newer:
            if batch.is_kept:
                kept.append(batch)
                if not batch.written.done():
                    batch.written.set_result(False)
            elif not batch.written.done():
                batch.written.set_exception(
                    LedgerUnavailable(f"the consent ledger cannot be written: {error}")
                )
        if isinstance(error, LedgerBroken):
            self._give_up(kept, error.code)
            return
        while kept and sum(len(batch.entries) for batch in kept) > self._limit:
            self._give_up([kept.pop()], "too_many")
        self._waiting.extend(kept)
        if self._waiting:
            self._retry = self._clock.call_later(self._retry_s, self._retry_now)

    def _retry_now(self) -> None:
        self._retry = None
        self._kick()

    def _give_up(self, batches: list[_Batch], reason: str) -> None:
        entries = sum(len(batch.entries) for batch in batches if batch.is_kept)
        for batch in batches:
            if not batch.written.done():
                batch.written.set_result(False)
        if entries:
            self._lost += entries
            _log.error("ledger_entries_lost", count=entries, reason=reason)
