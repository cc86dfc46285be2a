"""The consent service: keeps what people agreed to, and has the gates follow it.

What takes something back cuts before its first `await`; what agrees to something is in the ledger before it
has any effect.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

import structlog

from policy import (
    REPLAY,
    Acceptance,
    ConsentState,
    Hold,
    Media,
    PartnerTerms,
    TermsDocument,
    TermsHistory,
    Use,
    has_accepted,
)
from rooms.activity import Activity
from rooms.activity_events import ChatLine, ChatLineDeleted
from rooms.errors import Code, Refused
from rooms.events import ConsentChanged, RevocationDone, TermsChanged
from rooms.gatekeeper import Gatekeeper
from rooms.house import House
from rooms.member import Member
from rooms.notary import Notary
from rooms.policy_in_force import PolicyInForce
from rooms.replays import Replays, both
from rooms.room import Room
from rooms.types import ChatMessage, Revocation
from store import LedgerEntry, LedgerKind, LedgerReport, StoreError

_log = structlog.get_logger("rooms")
_MAX_CHOICES = 32


class ConsentService:
    """What people say about the use of their media and chat, and what comes of it."""

    def __init__(self, house: House, terms: TermsHistory, partners: Mapping[str, PartnerTerms]) -> None:
        self._house = house
        self.notary = Notary(house)
        """The way into the ledger."""
        self.policy = PolicyInForce(house, terms, partners, self._policy_changed)
        """Terms and partners' terms."""
        self.gates = Gatekeeper(house, self.notary, self._done)
        """Who is in which output."""
        self.replays = Replays(house, self.notary, self.policy)
        """Recordings that are shown again."""
        self.on_revocation: list[Callable[[Room, Revocation], None]] = []
        """Called after every cut, for metrics; must not raise."""
        self.on_taken_back: list[Callable[[str, Collection[Use]], None]] = []
        """Called with a person and uses as they are taken back, before anything waits, and again when the
        ledger has it; must not raise."""
        self.on_change: list[Callable[[], None]] = []
        """Called when terms, partners, settings or the ledger's state changed; must not raise."""
        house.keeper.on_heal = self._ledger_healed

    # Rooms

    def enter(self, room: Room) -> None:
        """Take care of a room from now on."""
        self.gates.enter(room)
        self.refresh(room)

    def leave(self, room: Room) -> None:
        """The room is closed."""
        self.gates.leave(room)

    def refresh(self, room: Room) -> None:
        """Make the room's facts current."""
        room.facts = self.policy.facts(room.settings)

    def welcome(self, room: Room, member: Member) -> None:
        """The person has come in: what they agreed to at the door opens."""
        if not self._house.keeper.is_failing:
            # While they stood there the ledger may have taken what it had refused.
            member.facts = member.facts.held(Hold.LEDGER, False)
        self.gates.settle(room, "resumed", members=[member])

    # What people say

    async def accept(
        self, room: Room, member: Member, acceptance: Acceptance, agreed: Collection[Use] = ()
    ) -> None:
        """The person accepts a version of the terms, age statement included.

        `agreed`: what they agree to with it, written to the ledger in one transaction. When the ledger cannot
        be written they may publish in the room, and are in no output until it can; what they agreed to is
        then not taken.

        Raises: Refused (age_required, conflict).
        """
        if not acceptance.age_18:
            # Nothing of it is kept: a refused child leaves no row.
            raise Refused(
                Code.AGE_REQUIRED, "publishing and chatting need the statement of being 18 or older"
            )
        now_ms = self._house.now_ms()
        document = self.policy.terms.get(acceptance.terms_version)
        if document is None or not self.policy.terms.serves(acceptance.terms_version, now_ms):
            version = self.policy.current_terms().version
            raise Refused(
                Code.CONFLICT, f"the terms in force are {version}: accept those", terms_version=version
            )
        await self._remember(member)
        entry = self.notary.entry(
            room,
            member,
            LedgerKind.TERMS_ACCEPTED,
            terms_version=document.version,
            terms_digest=document.digest(),
            age_18=True,
            vouched=acceptance.vouched,
        )
        generation = member.choice_generation
        agreements = [self._agreement(room, member, agreed, acceptance)] if agreed else []
        seen = self._unnoted(room, member, acceptance)
        is_noted = await self.notary.try_note(entry, *agreements, *seen.values())
        for notice_id, one in self._unnoted(room, member, acceptance).items():
            if not is_noted or notice_id not in seen:
                self.notary.queue(one)
        facts = replace(member.facts, acceptance=acceptance)
        if is_noted and generation == member.choice_generation:
            facts = facts.choosing(dict.fromkeys(agreed, True))
        member.facts = facts if is_noted else facts.held(Hold.LEDGER, True)
        self.gates.settle(room, "resumed", members=[member])
        room.tell_updated(member)

    async def choose(self, room: Room, member: Member, choices: Mapping[Use, bool]) -> Revocation | None:
        """The person agrees to uses, or takes them back. Taking back cuts before anything else happens.

        Returns how the cut went, or None when nothing of the person was going anywhere.

        Raises: Refused (invalid_request, terms_required, age_required, unavailable); what was taken back
        stays so.
        """
        started = self._house.clock.monotonic()
        self._check_choices(room, choices)
        refused = [use for use, is_agreed in choices.items() if not is_agreed]
        agreed = [use for use, is_agreed in choices.items() if is_agreed]
        cutting = self.refuse(room, member, refused, "revoked", started=started) if refused else None
        if agreed:
            await self._agree(room, member, agreed)
        room.tell_updated(member)
        revocation = await asyncio.shield(cutting) if cutting is not None else None
        return revocation if revocation is not None and revocation.cut else None

    def refuse(
        self,
        room: Room,
        member: Member,
        uses: Iterable[Use],
        reason: str,
        *,
        started: float | None = None,
    ) -> "asyncio.Future[Revocation]":
        """Take uses back, at once; the future tells how the cut went."""
        named = tuple(sorted(uses))
        self.tell_taken_back(member.person, named)
        replayed = self.replays.refuse(member.person, named, reason, started=started)
        is_used = replayed is not None or any(
            activity.use in named for activity, _ in self.gates.open_grants(room, [member])
        )
        was_agreed = any(member.facts.choices.get(use) for use in named)
        member.choice_generation += 1
        member.facts = member.facts.choosing(dict.fromkeys(named, False))
        entries: list[LedgerEntry] = []
        if member.facts.acceptance is not None:
            entries.append(
                self.notary.entry(
                    room,
                    member,
                    LedgerKind.REVOKED if is_used or was_agreed else LedgerKind.USE_REFUSED,
                    uses=named,
                    reason=reason,
                    terms_version=member.facts.acceptance.terms_version,
                )
            )
        here = self.gates.settle(room, reason, members=[member], entries=entries, started=started)
        # What was asked of the ledger meanwhile was answered as if nothing had been taken back.
        here.add_done_callback(lambda _: self.tell_taken_back(member.person, named))
        return here if replayed is None else self._together(member, here, replayed, reason)

    def uses_of(self, room: Room) -> tuple[Use, ...]:
        """Every use that can be agreed to in the room: of its settings, and of the terms in force."""
        return tuple(sorted(room.settings.uses | {item.use for item in self.policy.current_terms().uses}))

    async def acknowledge(self, room: Room, member: Member, notice_id: str) -> None:
        """The person has seen a notice; what they agreed to opens now.

        When the ledger cannot be written they may publish and chat, and are in no output until it can.

        Raises: Refused (not_found).
        """
        activity = next((item for item in room.running() if item.notice_id == notice_id), None)
        if activity is None:
            raise Refused(Code.NOT_FOUND, "what the notice was about is over")
        if notice_id in member.seen.acknowledged:
            return
        acceptance = member.facts.acceptance
        is_noted = True
        if acceptance is not None:
            is_noted = await self.notary.try_note(self._acknowledgement(room, member, activity, acceptance))
        if not is_noted:
            member.unrecorded |= {notice_id}
            return
        # What is over needs no acknowledgement any more: the set stays as small as what runs.
        running = frozenset(room.notice_ids())
        known = (member.facts.acknowledged & running) | {notice_id}
        member.facts = replace(member.facts, acknowledged=known)
        self.gates.settle(room, "resumed", members=[member])

    def chat_written(self, room: Room, author: Member, line: ChatMessage) -> None:
        """Pass a public chat line to every activity, and to outside viewers, where its author is granted."""
        for activity in room.running():
            grant = activity.grants.get(author.id)
            if activity.is_viewing or grant is None or grant.gate is None or Media.CHAT not in grant.media:
                continue
            activity.events.put(
                ChatLine(
                    id=line.id,
                    person=author.person,
                    participant=author.id,
                    name=author.name,
                    text=line.text,
                    at_ms=line.at_ms,
                    slot=grant.gate.slot,
                    version=grant.gate.version,
                )
            )
        self.gates.desk(room).views.tell_outside(author, line)

    def chat_deleted(self, room: Room, line: ChatMessage) -> None:
        """Pass the end of a public line to all that may have got it."""
        for activity in room.running():
            if not activity.is_viewing:
                activity.events.put(ChatLineDeleted(line.id))
        self.gates.desk(room).views.take_back_outside(line)

    # Suspension

    def suspend(self, room: Room, member: Member, hold: Hold) -> "asyncio.Future[Revocation]":
        """Lay the person's grants to rest: gates close as in a revocation, what was agreed stays agreed."""
        member.suspensions[hold] += 1
        member.facts = member.facts.held(hold, True)
        return self.gates.settle(room, "suspended", members=[member])

    async def resume(self, room: Room, member: Member, hold: Hold) -> None:
        """Lift a hold; gates open again under a new version, once the ledger has noted it."""
        if hold not in member.facts.holds:
            return
        acceptance, suspensions = member.facts.acceptance, member.suspensions[hold]
        if acceptance is not None and room.running():
            entry = self.notary.entry(
                room,
                member,
                LedgerKind.RESUMED,
                reason=str(hold),
                terms_version=acceptance.terms_version,
            )
            if not await self.notary.try_note(entry):
                member.facts = member.facts.held(Hold.LEDGER, True)
        if suspensions != member.suspensions[hold]:
            return  # the hold was laid on anew while the ledger was written
        member.facts = member.facts.held(hold, False)
        self.gates.settle(room, "resumed", members=[member])

    # What changes for everyone

    async def verify_ledger(self) -> LedgerReport:
        """Verify the ledger now; when it fails, every grant everywhere is cut.

        Raises: StoreUnavailable when it cannot be read.
        """
        report = await self._house.store.ledger.verify()
        if not report.is_verified:
            _log.error("ledger_verification_failed", reason=report.problem)
        reason = "ledger_failed" if not report.is_verified else "resumed"
        self.replays.settle(reason)
        self.tell_changed()
        for room in self.gates.rooms():
            self.refresh(room)
            self.gates.settle(room, reason)
        return report

    def states(self, room: Room, member: Member) -> Mapping[Use, ConsentState]:
        """How the person stands towards every use."""
        return member.consent(room.facts, self._house.now_ms())

    def tell_taken_back(self, person: str, uses: Collection[Use]) -> None:
        """Somebody takes uses back: whoever shows what was recorded hears of it."""
        for callback in self.on_taken_back:
            callback(person, uses)

    def tell_changed(self) -> None:
        """What counts for everyone changed: whoever shows what was recorded hears of it."""
        for callback in self.on_change:
            callback()

    # Inside

    def _policy_changed(self, is_new: bool) -> None:
        self.tell_changed()
        self.replays.settle("terms_changed" if is_new else "partner_terms")
        for room in self.gates.rooms():
            self.refresh(room)
            self.gates.settle(room, "terms_changed" if is_new else "partner_terms")
            if is_new and self.policy.in_force is not None:
                self._tell_terms(room, self.policy.in_force)

    def _check_choices(self, room: Room, choices: Mapping[Use, bool]) -> None:
        known = self.uses_of(room)
        unknown = [use for use in choices if use not in known]
        if unknown or len(choices) > _MAX_CHOICES:
            raise Refused(Code.INVALID_REQUEST, f"unknown use; this room knows: {', '.join(known)}")

    async def _agree(self, room: Room, member: Member, uses: list[Use]) -> None:
        refusal = has_accepted(member.facts, room.facts, self._house.now_ms())
        acceptance = member.facts.acceptance
        if refusal is not None or acceptance is None:
            code = Code(refusal.code) if refusal is not None else Code.TERMS_REQUIRED
            raise Refused(
                code,
                "accept the broadcast terms before agreeing to a use",
                terms_version=self.policy.current_terms().version,
            )
        generation = member.choice_generation
        await self.notary.note(self._agreement(room, member, uses, acceptance))
        if generation != member.choice_generation:
            # A refusal came while the ledger was written: it stands after this in the ledger, and it holds.
            return
        member.facts = member.facts.choosing(dict.fromkeys(uses, True))
        self.gates.settle(room, "resumed", members=[member])

    def _agreement(
        self, room: Room, member: Member, uses: Collection[Use], acceptance: Acceptance
    ) -> LedgerEntry:
        return self.notary.entry(
            room,
            member,
            LedgerKind.USE_AGREED,
            uses=tuple(sorted(uses)),
            terms_version=acceptance.terms_version,
            vouched=acceptance.vouched,
        )

    def _unnoted(self, room: Room, member: Member, acceptance: Acceptance) -> dict[str, LedgerEntry]:
        """What the person acknowledged before they accepted anything, when no row was written of them."""
        if member.facts.acceptance is not None:
            return {}
        return {
            activity.notice_id: self._acknowledgement(room, member, activity, acceptance)
            for activity in room.running()
            if activity.notice_id in member.facts.acknowledged
        }

    def _acknowledgement(
        self, room: Room, member: Member, activity: Activity, acceptance: Acceptance
    ) -> LedgerEntry:
        return self.notary.entry(
            room,
            member,
            LedgerKind.NOTICE_ACKNOWLEDGED,
            uses=(activity.use,),
            activity=activity.id,
            terms_version=acceptance.terms_version,
            vouched=member.acknowledges_all,
        )

    async def _remember(self, member: Member) -> None:
        try:
            member.person = await self._house.store.persons.remember(member.identity, member.person)
        except StoreError as error:
            _log.warning("person_not_kept", code=error.code)

    def _ledger_healed(self) -> None:
        for room in self.gates.rooms():
            held = [
                member for member in room.people() if Hold.LEDGER in member.facts.holds or member.unrecorded
            ]
            for member in held:
                member.facts = member.seen.held(Hold.LEDGER, False)
                member.unrecorded = frozenset()
            if held:
                self.gates.settle(room, "resumed", members=held)

    def _together(
        self,
        member: Member,
        here: "asyncio.Future[Revocation]",
        replayed: "asyncio.Future[Revocation]",
        reason: str,
    ) -> "asyncio.Future[Revocation]":
        """One future for both; the person is told of the replays that they are out of."""
        done: asyncio.Future[Revocation] = asyncio.get_running_loop().create_future()

        async def wait() -> None:
            shown = await replayed
            member.tell(RevocationDone((REPLAY,), shown.latency_ms, reason))
            done.set_result(await both(here, replayed))

        if self._house.scope.start(wait(), "replayed") is None:
            return here
        return done

    def _done(self, room: Room, revocation: Revocation) -> None:
        for callback in self.on_revocation:
            callback(room, revocation)

    def _tell_terms(self, room: Room, current: TermsDocument) -> None:
        now_ms = self._house.now_ms()
        for member in room.people():
            refusal = has_accepted(member.facts, room.facts, now_ms)
            member.tell(TermsChanged(current, refusal is None))
            member.tell(ConsentChanged(self.states(room, member), "terms_changed"))
            room.tell_updated(member)
