"""Files of recordings that are being read: each ends as soon as it would not be given out any more.

A film is read for as long as it is looked at. So whoever may be shown is not asked once: what somebody takes
back ends what is open at once, and everything else that counts (terms, settings, what another server wrote
to the ledger) is looked at again and again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Literal

import structlog

from policy import RECORD
from recorder.errors import RecorderError, RecorderUnavailable, RecordingConflict
from store import StoreError

MOST: Final = 1024
"""Files that may be open at once; more are refused."""
REVIEW_S: Final = 5.0
"""How long what nobody told may stay unnoticed."""
_log = structlog.get_logger("recorder")


@dataclass(eq=False, slots=True)
class Transfer:
    """One file that is being read. Belongs to the event loop."""

    recording: str
    rendition: str
    """Empty for a file of the recording itself."""
    people: frozenset[str]
    """Everybody in it."""
    use: Literal["record", "replay"] | None
    """What they have to agree to; None: it is given out until it is erased."""
    is_given: bool = False
    """Whether somebody reads it, who finishes it."""
    is_ended: bool = False
    _on_end: list[Callable[[], None]] = field(default_factory=list)

    def on_end(self, callback: Callable[[], None]) -> None:
        """Have something called when it may not go on; at once when that is so already."""
        if self.is_ended:
            callback()
        else:
            self._on_end.append(callback)

    def end(self) -> None:
        """Nothing more of it goes anywhere. Idempotent."""
        self.is_ended = True
        while self._on_end:
            self._on_end.pop()()


Agree = Callable[[str, Collection[str], Literal["record", "replay"]], Awaitable[bool]]
"""Whether all of some people in a recording agree to a use of it now. Raises: RecorderError, StoreError."""


class Transfers:
    """Every open file of this node. Belongs to one event loop."""

    def __init__(self) -> None:
        self._open: set[Transfer] = set()
        self._look = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def opening(
        self,
        recording: str,
        people: Collection[str],
        *,
        rendition: str = "",
        use: Literal["record", "replay"] | None = None,
    ) -> Iterator[Transfer]:
        """While a file is asked for and opened: what is taken back meanwhile counts.

        Raises: RecorderUnavailable when too many are open.
        """
        if len(self._open) >= MOST:
            raise RecorderUnavailable(f"{MOST} files are being read already: try again in a moment")
        transfer = Transfer(recording, rendition, frozenset(people), use)
        self._open.add(transfer)
        try:
            yield transfer
        finally:
            if not transfer.is_given:
                self.finish(transfer)

    def finish(self, transfer: Transfer) -> None:
        """It is read, or given up. Idempotent."""
        self._open.discard(transfer)

    def take_back(self, person: str, uses: Collection[str]) -> None:
        """Somebody takes uses back: whoever is not to be recorded is not shown again either."""
        self._end(
            transfer
            for transfer in self._open
            if person in transfer.people
            and transfer.use is not None
            and {transfer.use, str(RECORD)} & {*uses}
        )

    def withdraw(self, person: str, recording: str) -> None:
        """Somebody withdraws what was recorded of them, in one recording or (empty) in all."""
        self._end(
            transfer
            for transfer in self._open
            if person in transfer.people and recording in {"", transfer.recording}
        )

    def end(self, recording: str, rendition: str | None = None) -> None:
        """A recording, or one rendition of it, is not given out any more."""
        self._end(
            transfer
            for transfer in self._open
            if transfer.recording == recording and rendition in {None, transfer.rendition}
        )

    def look_again(self) -> None:
        """Something else may count now: ask again, at once."""
        self._look.set()

    async def review_forever(self, agree: Agree) -> None:
        """Ask again and again whether everybody in what is open agrees still."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REVIEW_S):
                    await self._look.wait()
            self._look.clear()
            await self.review(agree)

    async def review(self, agree: Agree) -> None:
        """End what not everybody in it agrees to; also when that cannot be known."""
        asked = {(one.recording, one.people, one.use) for one in self._open}
        for recording, people, use in asked:
            if use is None:
                continue
            try:
                is_fine = await agree(recording, people, use)
            except (RecorderError, StoreError) as error:
                _log.warning("transfers_not_reviewed", recording=recording, reason=str(error))
                is_fine = False
            except Exception:  # noqa: BLE001 - what cannot be known is not given out, and the review goes on
                _log.exception("transfers_not_reviewed", recording=recording)
                is_fine = False
            if not is_fine:
                self._end(
                    one
                    for one in self._open
                    if (one.recording, one.people, one.use) == (recording, people, use)
                )

    def _end(self, transfers: Iterator[Transfer]) -> None:
        concerned = list(transfers)
        for transfer in concerned:
            self.finish(transfer)
            transfer.end()
        if concerned:
            _log.info("transfers_ended", recording=concerned[0].recording, count=len(concerned))


def ended() -> RecordingConflict:
    """What whoever reads on is told."""
    return RecordingConflict("the file is not given out any more: somebody in it took it back, or it is gone")
