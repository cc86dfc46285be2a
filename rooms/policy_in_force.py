"""The terms and the partners' terms that decisions rest on, and when what they say changes."""

from collections.abc import Callable, Mapping

from policy import PartnerTerms, RoomFacts, RoomSettings, TermsDocument, TermsHistory
from rooms.clock import Timer
from rooms.house import House
from store import LedgerEntry, LedgerKind

_RECHECK_S = 60.0


class PolicyInForce:
    """Knows what is published, and wakes at the instants at which it comes into force or ends."""

    def __init__(
        self,
        house: House,
        terms: TermsHistory,
        partners: Mapping[str, PartnerTerms],
        on_change: Callable[[bool], None],
    ) -> None:
        self._house = house
        self._terms = terms
        self._partners = dict(partners)
        self._on_change = on_change
        self._in_force: TermsDocument | None = None
        self._timer: Timer | None = None

    @property
    def terms(self) -> TermsHistory:
        """Every published version."""
        return self._terms

    @property
    def in_force(self) -> TermsDocument | None:
        """The version that was in force when it was looked last."""
        return self._in_force

    def current_terms(self) -> TermsDocument:
        """The version in force; before any is, the oldest one."""
        return self._terms.current(self._house.now_ms()) or self._terms.documents[0]

    def facts(self, settings: RoomSettings) -> RoomFacts:
        """What `policy.decide` needs to know of a room with these settings."""
        return RoomFacts(
            settings=settings,
            terms=self._terms,
            partners=self._partners,
            ledger_verified=self._house.store.ledger.is_verified,
        )

    async def publish(self, document: TermsDocument) -> None:
        """Publish a new version; when it comes into force and is material, older acceptances end by a cut.

        Raises: TermsError, Conflict, StoreUnavailable.
        """
        history = self._terms.publish(document)
        await self._house.store.terms.publish(document)
        self._terms = history
        self._house.keeper.queue(
            LedgerEntry(
                at_ms=self._house.now_ms(),
                kind=LedgerKind.TERMS_PUBLISHED,
                terms_version=document.version,
                terms_digest=document.digest(),
            )
        )
        self.look()

    async def reload_partners(self) -> None:
        """Take the partners' terms from the store anew; call after a partner was added, changed or removed.

        Raises: StoreUnavailable.
        """
        rows = await self._house.store.partners.all()
        self.replace_partners({row.id: row.terms() for row in rows})

    def replace_partners(self, partners: Mapping[str, PartnerTerms]) -> None:
        """These are the partners' terms from now on."""
        self._partners = dict(partners)
        self.look()

    def look(self) -> None:
        """Something was published, or an instant passed: tell that everything is to be decided anew.

        What is told is whether another version of the terms is in force than the last time.
        """
        now_ms = self._house.now_ms()
        before, self._in_force = self._in_force, self._terms.current(now_ms)
        self._on_change(self._in_force is not before)
        self._schedule(now_ms)

    def close(self) -> None:
        """Unset the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, now_ms: int) -> None:
        """Wake when terms or partners change next; wall clocks jump, so look now and then."""
        instants = [self._terms.next_change_ms(now_ms)]
        for partner in self._partners.values():
            instants += [partner.from_ms, partner.until_ms]
        coming = [instant for instant in instants if instant is not None and instant > now_ms]
        self.close()
        if coming:
            delay_s = min(max((min(coming) - now_ms) / 1000, 0.0), _RECHECK_S)
            self._timer = self._house.clock.call_later(delay_s, self.look)
