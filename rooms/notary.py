"""Writes what happens in rooms into the ledger: random ids, codes and hashes, nothing else."""

from rooms.activity import Activity
from rooms.errors import Code, Refused
from rooms.house import House
from rooms.ledger_keeper import LedgerUnavailable
from rooms.member import Member
from rooms.room import Room
from store import LedgerEntry, LedgerKind


class Notary:
    """Makes entries, and has them written now or later."""

    def __init__(self, house: House) -> None:
        self._house = house

    def entry(
        self,
        room: Room,
        member: Member,
        kind: LedgerKind,
        *,
        uses: tuple[str, ...] = (),
        activity: str = "",
        terms_version: str = "",
        terms_digest: str = "",
        age_18: bool = False,
        vouched: bool = False,
        reason: str = "",
    ) -> LedgerEntry:
        """What one person did, or what was done to them, now."""
        return LedgerEntry(
            at_ms=self._house.now_ms(),
            kind=kind,
            person=member.person,
            room=room.id,
            uses=uses,
            activity=activity,
            terms_version=terms_version,
            terms_digest=terms_digest,
            age_18=age_18,
            vouched=vouched,
            reason=reason,
        )

    def activity(self, activity: Activity, kind: LedgerKind, reason: str = "") -> LedgerEntry:
        """That an activity starts or is over, now."""
        return LedgerEntry(
            at_ms=self._house.now_ms(),
            kind=kind,
            room=activity.room_id,
            uses=(activity.use,),
            activity=activity.id,
            terms_version=activity.terms_version,
            reason=reason,
        )

    async def note(self, entry: LedgerEntry) -> None:
        """Write an entry that a grant depends on.

        Raises: Refused (unavailable): it is not written later then.
        """
        try:
            await self._house.keeper.note(entry)
        except LedgerUnavailable as error:
            raise Refused(
                Code.UNAVAILABLE, "the consent ledger cannot be written now: try again", retry_after_s=5.0
            ) from error

    async def try_note(self, entry: LedgerEntry, *more: LedgerEntry) -> bool:
        """Write all entries now, or queue the first alone; whether they are written."""
        try:
            await self._house.keeper.note(entry, *more)
        except LedgerUnavailable:
            self._house.keeper.queue(entry)
            return False
        return True

    def queue(self, entry: LedgerEntry) -> None:
        """Have an entry written that nothing waits for, now or later."""
        self._house.keeper.queue(entry)
