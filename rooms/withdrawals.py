"""Withdrawal of what was recorded: the ledger notes it, and whoever keeps recordings carries it out.

The ledger is what counts. The bus only says that there is something new in it, so that nothing is lost when a
message is, or when nobody listens just then.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from cluster import ClusterError
from policy import RECORD, REPLAY
from rooms.consent import ConsentService
from rooms.events import ConsentChanged
from rooms.house import House
from rooms.types import Revocation
from store import LedgerEntry, LedgerKind

_log = structlog.get_logger("rooms")
_USES: Final = (RECORD, REPLAY)

TOPIC: Final = "consent.withdrawals"
"""Where the bus says that the ledger holds another withdrawal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A person wants what was recorded of them until then removed."""

    person: str
    at_ms: int
    """Unix time in milliseconds."""
    room: str = ""
    """Random id of the room; empty = everywhere."""
    recording: str = ""
    """Id of one recording; empty = all."""


class Withdrawals:
    """Takes withdrawals, and tells those who keep recordings."""

    def __init__(self, house: House, consent: ConsentService) -> None:
        self._house = house
        self._consent = consent
        self.on_withdrawn: list[Callable[[str, str], None]] = []
        """Called with a person and the id of a recording (empty = all) as they withdraw, before anything
        waits, and again when the ledger has it; must not raise."""

    async def withdraw(self, person: str, *, room: str = "", recording: str = "") -> Withdrawal:
        """Note that a person withdraws; recordings that run lose them first, by a cut.

        `room`: random id of a room, empty = everywhere; `recording`: id of one, empty = all.

        Raises: LedgerUnavailable when the ledger cannot note it: what was cut stays so, nothing is removed.
        """
        self._tell(person, recording)
        cuts = self._take_back(person, room, recording)
        if cuts:
            await asyncio.wait(cuts)
        withdrawal = Withdrawal(person=person, at_ms=self._house.now_ms(), room=room, recording=recording)
        await self._house.keeper.note(
            LedgerEntry(
                at_ms=withdrawal.at_ms,
                kind=LedgerKind.WITHDRAWN,
                person=person,
                room=room,
                uses=_USES,
                activity=recording,
                reason="withdrawn",
            )
        )
        self._tell(person, recording)
        try:
            await self._house.cluster.publish(TOPIC, b"")
        except ClusterError as error:
            # Other nodes find it in the ledger at their next message or start.
            _log.warning("withdrawal_not_announced", code=error.code)
        return withdrawal

    async def follow(self) -> AsyncIterator[tuple[Withdrawal, ...]]:
        """Every withdrawal that the ledger holds, then each new one, in batches; for one consumer.

        A consumer is told again at the next start what it has carried out already.

        Raises: StoreUnavailable.
        """
        subscription = self._house.cluster.subscribe(TOPIC)
        try:
            last = 0
            messages = aiter(subscription)
            while True:
                while rows := await self._house.store.ledger.rows(after=last, kind=LedgerKind.WITHDRAWN):
                    yield tuple(
                        Withdrawal(person=row.person, at_ms=row.at_ms, room=row.room, recording=row.activity)
                        for row in rows
                    )
                    last = rows[-1].seq
                if await anext(messages, None) is None:
                    return
        finally:
            subscription.close()

    def carried_out(self, person: str, *, room: str, recording: str) -> None:
        """A person is out of a recording: the ledger notes it, now or later."""
        self._house.keeper.queue(
            LedgerEntry(
                at_ms=self._house.now_ms(),
                kind=LedgerKind.ERASED,
                person=person,
                room=room,
                activity=recording,
                reason="withdrawn",
            )
        )

    def kept(self, kind: LedgerKind, *, room: str, recording: str) -> None:
        """A recording is held, released, or at the end of its time: the ledger notes it, now or later."""
        self._house.keeper.queue(
            LedgerEntry(at_ms=self._house.now_ms(), kind=kind, room=room, activity=recording)
        )

    async def of(self, person: str) -> tuple[tuple[Withdrawal, ...], dict[str, int]]:
        """What a person has withdrawn, and when (Unix ms) each recording was rid of them.

        Raises: StoreUnavailable.
        """
        ledger = self._house.store.ledger
        asked = [
            Withdrawal(person=person, at_ms=row.at_ms, room=row.room, recording=row.activity)
            async for row in ledger.each(person=person, kind=LedgerKind.WITHDRAWN)
        ]
        erased = ledger.each(person=person, kind=LedgerKind.ERASED)
        return tuple(asked), {row.activity: row.at_ms async for row in erased}

    def _tell(self, person: str, recording: str) -> None:
        for callback in self.on_withdrawn:
            callback(person, recording)

    def _take_back(self, person: str, room_id: str, recording: str) -> list["asyncio.Future[Revocation]"]:
        """Cut the person out of what the withdrawal concerns: recordings and replays that run."""
        replayed = self._consent.replays.withdraw(person, room_id=room_id, recording=recording)
        cuts: list[asyncio.Future[Revocation]] = [] if replayed is None else [replayed]
        for room in self._consent.gates.rooms():
            if room_id not in {"", room.id} or (recording and recording not in room.activities_by_id):
                continue
            for member in [member for member in room.people() if member.person == person]:
                cuts.append(self._consent.refuse(room, member, _USES, "withdrawn"))
                member.tell(ConsentChanged(self._consent.states(room, member), "withdrawn"))
                room.tell_updated(member)
        return cuts
