"""The consent service: keeps what people agreed to, asks `policy.decide`, opens and closes gates.

Everything that closes a gate does so before its first `await`. Everything that opens one decides and opens
in one step without an `await` between, from facts that are in the ledger already.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec
import structlog

from media.gates import GatesExhausted
from policy import (
    LIVE,
    RECORD,
    REPLAY,
    Acceptance,
    Allow,
    ConsentState,
    Decision,
    Hold,
    Media,
    PartnerTerms,
    RoomFacts,
    TermsDocument,
    TermsHistory,
    Use,
    decide,
    has_accepted,
)
from rooms.activity import Activity, Grant
from rooms.activity_events import ChatLine
from rooms.clock import Timer
from rooms.cut import Closing, Cutter
from rooms.errors import Code, Refused
from rooms.events import ConsentChanged, TermsChanged
from rooms.house import House
from rooms.ledger_keeper import LedgerUnavailable
from rooms.member import Member
from rooms.room import Room
from rooms.taps import Taps, person_of
from rooms.types import ChatMessage, Revocation
from rooms.views import Views
from store import LedgerEntry, LedgerKind, LedgerReport, StoreError

_log = structlog.get_logger("rooms")
_MAX_CHOICES = 32
_RECHECK_S = 60.0

ERASURES = "consent.erasures"
"""Topic of the bus on which withdrawals are announced."""


@dataclass(slots=True)
class Desk:
    """The consent service's tools for one room."""

    taps: Taps
    views: Views
    cutter: Cutter


class Withdrawal(msgspec.Struct, frozen=True):
    """A person wants what was recorded of them removed: recorder, rebroadcast and members act on it."""

    person: str
    room: str
    """Random id of the room; empty = everywhere."""
    recording: str
    """Id of one recording; empty = all."""
    reason: str


class ConsentService:
    """Decides nothing itself: gathers facts, asks `policy.decide`, makes the gates follow the answer."""

    def __init__(self, house: House, terms: TermsHistory, partners: Mapping[str, PartnerTerms]) -> None:
        self._house = house
        self._terms = terms
        self._partners = dict(partners)
        self._rooms: dict[str, tuple[Room, Desk]] = {}
        self._in_force: TermsDocument | None = None
        self._timer: Timer | None = None
        self.on_revocation: list[Callable[[Room, Revocation], None]] = []
        """Called after every cut, for metrics; must not raise."""
        house.keeper.on_heal = self._ledger_healed

    # Rooms

    def enter(self, room: Room) -> None:
        """Take care of a room from now on."""
        taps = Taps(room)
        desk = Desk(taps, Views(room), Cutter(room, taps, self._done))
        self._rooms[room.id] = (room, desk)
        self.refresh(room)

    def leave(self, room: Room) -> None:
        """The room is closed."""
        found = self._rooms.get(room.id)
        if found is not None and found[0] is room:
            del self._rooms[room.id]

    def desk(self, room: Room) -> Desk:
        """The tools of one room.

        Raises: Refused when the room is closed.
        """
        found = self._rooms.get(room.id)
        if found is None or found[0] is not room:
            raise Refused(Code.NOT_FOUND, "the room is closed")
        return found[1]

    def refresh(self, room: Room) -> None:
        """Make the room's facts current."""
        room.facts = RoomFacts(
            settings=room.settings,
            terms=self._terms,
            partners=self._partners,
            ledger_verified=self._house.store.ledger.is_verified,
        )

    # Terms

    @property
    def terms(self) -> TermsHistory:
        """Every published version."""
        return self._terms

    def current_terms(self) -> TermsDocument:
        """The version in force; before any is, the oldest one."""
        return self._terms.current(self._house.now_ms()) or self._terms.documents[0]

    async def publish_terms(self, document: TermsDocument) -> None:
        """Publish a new version; when it comes into force and is material, older acceptances end by a cut.

        Raises: TermsError, Conflict, StoreUnavailable.
        """
        history = self._terms.publish(document)
        await self._house.store.terms.publish(document)
        self._terms = history
        entry = LedgerEntry(
            at_ms=self._house.now_ms(),
            kind=LedgerKind.TERMS_PUBLISHED,
            terms_version=document.version,
            terms_digest=document.digest(),
        )
        self._house.keeper.queue(entry)
        self.policy_changed()

    async def reload_partners(self) -> None:
        """Take the partners' terms from the store anew; call after a partner was added, changed or removed.

        Raises: StoreUnavailable.
        """
        rows = await self._house.store.partners.all()
        self._partners = {row.id: row.terms() for row in rows}
        self.policy_changed()

    def policy_changed(self) -> None:
        """Decide everything anew: terms or partners changed, or an instant passed at which they do."""
        now_ms = self._house.now_ms()
        current = self._terms.current(now_ms)
        is_new = current is not self._in_force
        self._in_force = current
        for room, _ in list(self._rooms.values()):
            self.refresh(room)
            self.settle(room, "terms_changed" if is_new else "partner_terms")
            if is_new and current is not None:
                self._tell_terms(room, current)
        self._schedule(now_ms)

    def close(self) -> None:
        """Unset the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What people say

    async def accept(self, room: Room, member: Member, acceptance: Acceptance) -> None:
        """The person accepts a version of the terms, age statement included.

        When the ledger cannot be written they may publish in the room, and are in no output until it can.

        Raises: Refused (age_required, conflict).
        """
        if not acceptance.age_18:
            # Nothing of it is kept: a refused child leaves no row.
            raise Refused(
                Code.AGE_REQUIRED, "publishing and chatting need the statement of being 18 or older"
            )
        now_ms = self._house.now_ms()
        document = self._terms.get(acceptance.terms_version)
        if document is None or not self._terms.serves(acceptance.terms_version, now_ms):
            version = self.current_terms().version
            raise Refused(
                Code.CONFLICT, f"the terms in force are {version}: accept those", terms_version=version
            )
        await self._remember(member)
        entry = self._entry(
            room,
            member,
            LedgerKind.TERMS_ACCEPTED,
            terms_version=document.version,
            terms_digest=document.digest(),
            age_18=True,
            vouched=acceptance.vouched,
        )
        is_noted = await self._try_note(entry)
        facts = replace(member.facts, acceptance=acceptance)
        member.facts = facts if is_noted else facts.held(Hold.LEDGER, True)
        self.settle(room, "resumed", members=[member])
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
        is_used = any(activity.use in named for activity, _ in self._open_grants(room, [member]))
        was_agreed = any(member.facts.choices.get(use) for use in named)
        member.choice_generation += 1
        member.facts = member.facts.choosing(dict.fromkeys(named, False))
        entries: list[LedgerEntry] = []
        if member.facts.acceptance is not None:
            entries.append(
                self._entry(
                    room,
                    member,
                    LedgerKind.REVOKED if is_used or was_agreed else LedgerKind.USE_REFUSED,
                    uses=named,
                    reason=reason,
                    terms_version=member.facts.acceptance.terms_version,
                )
            )
        return self.settle(room, reason, members=[member], entries=entries, started=started)

    def uses_of(self, room: Room) -> tuple[Use, ...]:
        """Every use that can be agreed to in the room: of its settings, and of the terms in force."""
        return tuple(sorted(room.settings.uses | {item.use for item in self.current_terms().uses}))

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
            entry = self._entry(
                room,
                member,
                LedgerKind.NOTICE_ACKNOWLEDGED,
                uses=(activity.use,),
                activity=activity.id,
                terms_version=acceptance.terms_version,
                vouched=member.acknowledges_all,
            )
            is_noted = await self._try_note(entry)
        if not is_noted:
            member.unrecorded |= {notice_id}
            return
        # What is over needs no acknowledgement any more: the set stays as small as what runs.
        running = frozenset(room.notice_ids())
        known = (member.facts.acknowledged & running) | {notice_id}
        member.facts = replace(member.facts, acknowledged=known)
        self.settle(room, "resumed", members=[member])

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
        self.desk(room).views.tell_outside(author, line)

    # Suspension

    def suspend(self, room: Room, member: Member, hold: Hold) -> "asyncio.Future[Revocation]":
        """Lay the person's grants to rest: gates close as in a revocation, what was agreed stays agreed."""
        member.facts = member.facts.held(hold, True)
        return self.settle(room, "suspended", members=[member])

    async def resume(self, room: Room, member: Member, hold: Hold) -> None:
        """Lift a hold; gates open again under a new version, once the ledger has noted it."""
        if hold not in member.facts.holds:
            return
        acceptance = member.facts.acceptance
        if acceptance is not None and room.running():
            entry = self._entry(
                room,
                member,
                LedgerKind.RESUMED,
                reason=str(hold),
                terms_version=acceptance.terms_version,
            )
            if not await self._try_note(entry):
                member.facts = member.facts.held(Hold.LEDGER, True)
        member.facts = member.facts.held(hold, False)
        self.settle(room, "resumed", members=[member])

    # The gates

    def decision(self, room: Room, member: Member, activity: Activity, media: Media) -> Decision:
        """What policy says now of one person, one activity and one medium."""
        return decide(member.facts, activity.facts(), media, room.facts, self._house.now_ms())

    def settle(
        self,
        room: Room,
        reason: str,
        *,
        members: Iterable[Member] | None = None,
        entries: Iterable[LedgerEntry] = (),
        started: float | None = None,
    ) -> "asyncio.Future[Revocation]":
        """Make every gate follow `policy.decide`, before this returns; closing comes before opening.

        `members`: whose facts changed, None = everyone's. The future tells when a cut that this caused is
        through.
        """
        if started is None:
            started = self._house.clock.monotonic()
        touched = list(room.people()) if members is None else list(members)
        wanted = self._wanted(room, touched)
        closings = [
            (activity, grant)
            for activity, grant in self._open_grants(room, touched)
            if not wanted.get((activity.id, grant.member.id), frozenset()) >= grant.media
        ]
        noted = [*entries, *self._closing_entries(room, closings, reason, set(entries))]
        desk = self.desk(room)
        done = (
            desk.cutter.cut(closings, reason, entries=noted, started=started)
            if (closings or noted)
            else _nothing_to_cut()
        )
        opened = [
            self._open(room, activity, member, media)
            for activity in room.running()
            for member in touched
            if (media := wanted.get((activity.id, member.id)))
        ]
        if closings or any(opened):
            desk.views.refresh_all()
        return done

    def forget(self, room: Room, member: Member) -> None:
        """The person is gone for good and cut: give their slots back once their taps are out."""
        for activity in list(room.activities_by_id.values()):
            grant = activity.grants.pop(member.id, None)
            if grant is not None:
                self._release(grant)
            if not activity.is_viewing and member.transport != "whep":
                activity.events.put(person_of(member, None))

    def close_gates(self, room: Room, activity: Activity) -> None:
        """The activity is over: everything of it closes, quietly, for its consumer has finished."""
        desk = self.desk(room)
        for grant in list(activity.grants.values()):
            if grant.gate is not None:
                newer = self._house.plane.allocator.next_version(grant.slot)
                room.router.close_gate(newer.slot, newer.version)
                grant.gate = None
                grant.media = frozenset()
            desk.taps.closed(activity, grant, "stopped")
            self._release(grant)
        activity.grants.clear()
        desk.views.refresh_all()

    def _wanted(self, room: Room, members: list[Member]) -> dict[tuple[str, str], frozenset[Media]]:
        wanted: dict[tuple[str, str], frozenset[Media]] = {}
        for activity in room.running():
            for member in members:
                allowed = frozenset(
                    media
                    for media in Media
                    if isinstance(self.decision(room, member, activity, media), Allow)
                )
                if allowed:
                    wanted[activity.id, member.id] = allowed
        return wanted

    @staticmethod
    def _open_grants(room: Room, members: list[Member]) -> list[Closing]:
        return [
            (activity, grant)
            for activity in room.activities_by_id.values()
            for member in members
            if (grant := activity.grants.get(member.id)) is not None and grant.gate is not None
        ]

    def _open(self, room: Room, activity: Activity, member: Member, media: frozenset[Media]) -> bool:
        """Open a gate, or widen what goes through it; whether anything changed."""
        grant = activity.grants.get(member.id)
        if grant is not None and grant.gate is not None:
            if grant.media == media:
                return False
            grant.media = media
        else:
            try:
                grant = grant or Grant(member, self._house.plane.allocator.allocate())
            except GatesExhausted:
                _log.error("gates_exhausted", room=room.id)
                return False
            activity.grants[member.id] = grant
            grant.gate = self._house.plane.allocator.next_version(grant.slot)
            grant.media = media
            room.router.open_gate(grant.gate)
            if not activity.is_viewing:
                activity.events.put(person_of(member, member.name))
        self.desk(room).taps.opened(activity, grant)
        return True

    def _release(self, grant: Grant) -> None:
        # A slot's version only grows, so a late packet of the old owner finds its version closed for ever.
        self._house.plane.allocator.release(grant.slot)

    def _closing_entries(
        self, room: Room, closings: list[Closing], reason: str, known: set[LedgerEntry]
    ) -> list[LedgerEntry]:
        noted = {entry.person for entry in known}
        kind = LedgerKind.SUSPENDED if reason == "suspended" else LedgerKind.REVOKED
        uses: dict[str, tuple[Member, set[str]]] = {}
        for activity, grant in closings:
            uses.setdefault(grant.member.id, (grant.member, set()))[1].add(activity.use)
        return [
            self._entry(room, member, kind, uses=tuple(sorted(names)), reason=reason)
            for member, names in uses.values()
            if member.person not in noted
        ]

    # The ledger

    async def verify_ledger(self) -> LedgerReport:
        """Verify the ledger now; when it fails, every grant everywhere is cut.

        Raises: StoreUnavailable when it cannot be read.
        """
        report = await self._house.store.ledger.verify()
        if not report.is_verified:
            _log.error("ledger_verification_failed", reason=report.problem)
        for room, _ in list(self._rooms.values()):
            self.refresh(room)
            self.settle(room, "ledger_failed" if not report.is_verified else "resumed")
        return report

    async def note_activity(self, room: Room, activity: Activity, kind: LedgerKind, reason: str = "") -> None:
        """Note that an activity starts.

        Raises: Refused (unavailable).
        """
        await self._note(self._activity_entry(room, activity, kind, reason))

    def queue_activity(self, room: Room, activity: Activity, kind: LedgerKind, reason: str) -> None:
        """Note that an activity is over, now or later."""
        self._house.keeper.queue(self._activity_entry(room, activity, kind, reason))

    # Withdrawal of what was recorded

    async def withdraw(
        self, person: str, *, room: str = "", recording: str = "", reason: str = "withdrawn"
    ) -> None:
        """Ask everyone who keeps something of the person to remove it (bus topic `ERASURES`).

        Raises: LedgerUnavailable when the ledger cannot note it: then nobody was asked.
        """
        entry = LedgerEntry(
            at_ms=self._house.now_ms(),
            kind=LedgerKind.WITHDRAWN,
            person=person,
            room=room,
            uses=tuple(sorted({RECORD, REPLAY, LIVE})),
            activity=recording,
            reason=reason,
        )
        await self._house.keeper.note(entry)
        message = msgspec.msgpack.encode(Withdrawal(person, room, recording, reason))
        await self._house.cluster.publish(ERASURES, message)

    async def withdrawals(self) -> AsyncIterator[Withdrawal]:
        """Withdrawals from now on, for one consumer that acts on them."""
        subscription = self._house.cluster.subscribe(ERASURES)
        try:
            async for message in subscription:
                try:
                    yield msgspec.msgpack.decode(message, type=Withdrawal)
                except msgspec.DecodeError:
                    # The bus is not trusted: what does not decode is somebody else's mistake.
                    _log.warning("withdrawal_undecodable", count=len(message))
        finally:
            subscription.close()

    # Inside

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
                terms_version=self.current_terms().version,
            )
        generation = member.choice_generation
        entry = self._entry(
            room,
            member,
            LedgerKind.USE_AGREED,
            uses=tuple(sorted(uses)),
            terms_version=acceptance.terms_version,
            vouched=acceptance.vouched,
        )
        await self._note(entry)
        if generation != member.choice_generation:
            # A refusal came while the ledger was written: it stands after this in the ledger, and it holds.
            return
        member.facts = member.facts.choosing(dict.fromkeys(uses, True))
        self.settle(room, "resumed", members=[member])

    def _entry(
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

    def _activity_entry(self, room: Room, activity: Activity, kind: LedgerKind, reason: str) -> LedgerEntry:
        return LedgerEntry(
            at_ms=self._house.now_ms(),
            kind=kind,
            room=room.id,
            uses=(activity.use,),
            activity=activity.id,
            terms_version=self.current_terms().version,
            reason=reason,
        )

    async def _note(self, entry: LedgerEntry) -> None:
        try:
            await self._house.keeper.note(entry)
        except LedgerUnavailable as error:
            raise Refused(
                Code.UNAVAILABLE, "the consent ledger cannot be written now: try again", retry_after_s=5.0
            ) from error

    async def _try_note(self, entry: LedgerEntry) -> bool:
        """Write the entry now, or queue it; whether it is written."""
        try:
            await self._house.keeper.note(entry)
        except LedgerUnavailable:
            self._house.keeper.queue(entry)
            return False
        return True

    async def _remember(self, member: Member) -> None:
        try:
            member.person = await self._house.store.persons.remember(member.identity, member.person)
        except StoreError as error:
            _log.warning("person_not_kept", code=error.code)

    def _ledger_healed(self) -> None:
        for room, _ in list(self._rooms.values()):
            held = [
                member for member in room.people() if Hold.LEDGER in member.facts.holds or member.unrecorded
            ]
            for member in held:
                member.facts = member.seen.held(Hold.LEDGER, False)
                member.unrecorded = frozenset()
            if held:
                self.settle(room, "resumed", members=held)

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

    def states(self, room: Room, member: Member) -> Mapping[Use, ConsentState]:
        """How the person stands towards every use."""
        return member.consent(room.facts, self._house.now_ms())

    def _schedule(self, now_ms: int) -> None:
        """Wake when terms or partners change next; wall clocks jump, so look now and then."""
        instants = [self._terms.next_change_ms(now_ms)]
        for partner in self._partners.values():
            instants += [partner.from_ms, partner.until_ms]
        coming = [instant for instant in instants if instant is not None and instant > now_ms]
        self.close()
        if coming:
            delay_s = min(max((min(coming) - now_ms) / 1000, 0.0), _RECHECK_S)
            self._timer = self._house.clock.call_later(delay_s, self.policy_changed)


def _nothing_to_cut() -> "asyncio.Future[Revocation]":
    future: asyncio.Future[Revocation] = asyncio.get_running_loop().create_future()
    future.set_result(Revocation(latency_ms=0.0, cut=(), killed=(), is_recorded=True))
    return future
