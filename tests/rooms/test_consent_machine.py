"""Any order of joining, agreeing, taking back, leaving, starting and stopping keeps the invariant:

a gate is open in the shared page if and only if `policy.decide` allows it, judged by a model that knows
only what was done; and once a revocation is through, no gate position that it revoked is ever open again.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from policy import (
    DEFAULT_TERMS,
    LIVE,
    RECORD,
    REPLAY,
    Acceptance,
    ActivityFacts,
    Allow,
    ConsentFacts,
    Hold,
    Media,
    PartnerTerms,
    RoomFacts,
    RoomMode,
    RoomSettings,
    Site,
    TermsHistory,
    decide,
)
from rooms import OWN_SITE, Activity, Code, Participant, Refused
from sfu.engine.fake import FakeEngine
from tests.rooms.rig import ACCEPTED, EVERYTHING, PERSON, Rig, rig, until
from tests.rooms.test_viewers import VIEWER

T = TypeVar("T")
NAMES = ("ada", "bob", "cleo")
SITES = {RECORD: Site(id="here", name="Here"), LIVE: Site(id="tv", name="TV", partner="pt_tv")}
people = st.sampled_from(NAMES)
uses = st.sampled_from((RECORD, LIVE))


@dataclass
class Person:
    """What the model knows of somebody inside."""

    participant: Participant
    facts: ConsentFacts
    secret: str
    suspended: bool = False


@dataclass
class Started:
    """A recording or broadcast."""

    activity: Activity
    sites: tuple[Site, ...]


@dataclass
class Watched:
    """The room as seen from outside."""

    activity: Activity
    sites: tuple[Site, ...] = (OWN_SITE,)


@dataclass
class Model:
    """Everything that was done, and nothing of what the service made of it."""

    mode: RoomMode
    terms: TermsHistory = field(default_factory=lambda: TermsHistory((DEFAULT_TERMS,)))
    partner: bool = True
    people: dict[str, Person] = field(default_factory=dict)
    running: dict[str, Started | Watched] = field(default_factory=dict)
    revoked: set[tuple[int, int]] = field(default_factory=set)

    def room(self) -> RoomFacts:
        partners = {"pt_tv": PartnerTerms(partner="pt_tv", uses=frozenset({LIVE}))} if self.partner else {}
        return RoomFacts(settings=RoomSettings(mode=self.mode), terms=self.terms, partners=partners)

    def allows(self, name: str, consumer: Started | Watched, now_ms: int) -> bool:
        person = self.people.get(name)
        if person is None:
            return False
        activity = consumer.activity
        facts = ActivityFacts(use=activity.use, notice_id=activity.notice_id, sites=consumer.sites)
        return isinstance(decide(person.facts, facts, Media.VIDEO, self.room(), now_ms), Allow)


class ConsentMachine(RuleBasedStateMachine):
    """Drives one room."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.viewers = count()
        self.context: AbstractAsyncContextManager[Rig] | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize(mode=st.sampled_from(RoomMode))
    def open_house(self, mode: RoomMode) -> None:
        self.model = Model(mode)
        self.context = rig(settings=RoomSettings(mode=mode, grace_s=30))

        async def enter() -> Rig:
            assert self.context is not None
            house = await self.context.__aenter__()
            house.service.consent.policy.replace_partners(self.model.room().partners)
            return house

        self.house = self.run(enter())

        for name in NAMES:
            self.do_join(name, accepts=True)
        self.do_start(RECORD)
        for name in NAMES[:2]:
            self.do_agree(name)

    def teardown(self) -> None:
        if self.context is not None:
            self.run(self.context.__aexit__(None, None, None))
        self.runner.close()

    # What can happen

    @rule(name=people, accepts=st.booleans())
    def join(self, name: str, accepts: bool) -> None:
        """Also of somebody who is inside: the newest join wins."""
        self.do_join(name, accepts=accepts)

    def do_join(self, name: str, *, accepts: bool) -> None:
        self.note_open(name)
        accept = ACCEPTED if accepts else None
        participant = self.run(self.house.join(name, accept=accept, permissions=PERSON))
        facts = ConsentFacts(acceptance=ACCEPTED if accepts and self.serves(ACCEPTED) else None)
        self.model.people[name] = Person(participant, facts, participant.resume_secret)

    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        name = self.draw_active(data)
        if name is None:
            return
        person = self.model.people[name]
        pending = person.participant.pending_notices()
        try:
            self.run(self.house.publish(person.participant))
            assert not pending
        except Refused as refusal:
            assert refusal.code in {Code.NOTICE_REQUIRED, Code.TERMS_REQUIRED}

    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        name = self.draw_active(data)
        if name is None:
            return
        person = self.model.people[name]
        version = self.newest()
        self.run(person.participant.accept_terms(version.terms_version, age_18=True))
        person.facts = replace(person.facts, acceptance=version)

    @rule(data=st.data(), use=uses, agrees=st.booleans())
    def choose(self, data: st.DataObject, use: Any, agrees: bool) -> None:
        name = self.draw_active(data)
        if name is None:
            return
        person = self.model.people[name]
        before = self.open_slots(name, use)
        try:
            self.run(person.participant.consent({use: agrees}))
        except Refused as refusal:
            assert agrees
            assert refusal.code is Code.TERMS_REQUIRED
            return
        if not agrees:
            self.model.revoked |= before
        person.facts = person.facts.choosing({use: agrees})

    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        name = self.draw_active(data)
        if name is None:
            return
        person = self.model.people[name]
        before = self.open_slots(name)
        self.run(person.participant.revoke())
        self.model.revoked |= before
        for use in self.house.service.consent.uses_of(person.participant.room):
            person.facts = person.facts.choosing({use: False})

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        """What was recorded is to be removed: the person is out of what records them, not of the rest."""
        name = self.draw_active(data)
        if name is None:
            return
        person = self.model.people[name]
        before = self.open_slots(name, RECORD)
        self.run(self.house.service.withdrawals.withdraw(person.participant.person))
        self.model.revoked |= before
        person.facts = person.facts.choosing({RECORD: False, REPLAY: False})

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        name = self.draw_active(data)
        if name is None:
            return
        person = self.model.people[name]
        self.run(self.house.acknowledge(person.participant))
        notices = {consumer.activity.notice_id for consumer in self.model.running.values()}
        person.facts = replace(person.facts, acknowledged=person.facts.acknowledged | notices)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        name = self.draw_active(data)
        if name is None:
            return
        person = self.model.people[name]
        self.note_open(name)
        self.run(person.participant.leave())
        del self.model.people[name]

    @rule(data=st.data())
    def suspend(self, data: st.DataObject) -> None:
        name = self.draw_active(data)
        if name is None:
            return
        person = self.model.people[name]
        self.note_open(name)
        self.run(person.participant.suspend())
        person.suspended = True
        person.facts = person.facts.held(Hold.SIGNALLING, True)

    @precondition(lambda self: any(person.suspended for person in self.model.people.values()))
    @rule(data=st.data(), kept=st.booleans())
    def resume(self, data: st.DataObject, kept: bool) -> None:
        lost = [name for name, person in self.model.people.items() if person.suspended]
        name = data.draw(st.sampled_from(lost))
        person = self.model.people[name]
        join = self.house.join(
            name, accept=None, resume=person.secret, media="kept" if kept else "new", permissions=PERSON
        )
        participant = self.run(join)
        assert participant.is_resumed
        assert participant.id == person.participant.id
        person.participant, person.secret, person.suspended = participant, participant.resume_secret, False
        person.facts = person.facts.held(Hold.SIGNALLING, False)

    @rule(data=st.data())
    def agree_fully(self, data: st.DataObject) -> None:
        name = self.draw_active(data)
        if name is not None:
            self.do_agree(name)

    def do_agree(self, name: str) -> None:
        person = self.model.people[name]
        version = self.newest()
        self.run(person.participant.accept_terms(version.terms_version, age_18=True))
        self.run(person.participant.consent({RECORD: True, LIVE: True}))
        person.facts = replace(person.facts, acceptance=version).choosing({RECORD: True, LIVE: True})
        self.run(self.house.acknowledge(person.participant))
        notices = {consumer.activity.notice_id for consumer in self.model.running.values()}
        person.facts = replace(person.facts, acknowledged=person.facts.acknowledged | notices)

    @precondition(lambda self: len(self.model.running) < 3 and self.model.people)
    @rule(use=uses)
    def start(self, use: Any) -> None:
        self.do_start(use)

    def do_start(self, use: Any) -> None:
        consumer = self.run(self.house.start(use, (SITES[use],), room="demo", permissions=EVERYTHING))
        self.model.running[consumer.activity.id] = Started(consumer.activity, (SITES[use],))

    @precondition(lambda self: sum(isinstance(item, Started) for item in self.model.running.values()) > 1)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        mine = [key for key, item in self.model.running.items() if isinstance(item, Started)]
        chosen = data.draw(st.sampled_from(sorted(mine)))
        consumer = self.model.running.pop(chosen)
        for name in NAMES:
            self.model.revoked |= self.slots_of(name, consumer)
        self.run(consumer.activity.close())

    @precondition(lambda self: any(person.suspended for person in self.model.people.values()))
    @rule()
    def grace_ends(self) -> None:
        lost = [name for name, person in self.model.people.items() if person.suspended]
        for name in lost:
            self.note_open(name)
            del self.model.people[name]

        async def wait() -> None:
            await self.house.clock.advance(31)
            room = self.house.service.room("demo")
            await until(lambda: room is None or not any(room.participant(name) for name in lost), "grace")

        self.run(wait())

    @precondition(lambda self: len(self.model.terms.documents) < 3)
    @rule()
    def terms_change(self) -> None:
        number = len(self.model.terms.documents) + 1
        document = replace(DEFAULT_TERMS, version=f"v{number}", number=number, is_material=number == 3)
        for name in NAMES:
            if document.is_material:
                self.note_open(name)
        self.run(self.house.service.consent.policy.publish(document))
        self.model.terms = self.model.terms.publish(document)

    @precondition(lambda self: self.model.people and len(self.model.running) < 6)
    @rule()
    def somebody_watches_from_outside(self) -> None:
        """A WHEP viewer with a token of another site: shown by whoever is granted for that site."""

        async def watch() -> Activity:
            viewer = await self.house.join(
                f"viewer {next(self.viewers)}",
                permissions=VIEWER,
                accept=None,
                transport="whep",
                is_external=True,
            )
            await viewer.view(self.house.offer(capture="chromium-offer-recvonly-av"))
            return next(item for item in viewer.room.running() if item.is_viewing)

        activity = self.run(watch())
        self.model.running.setdefault(activity.id, Watched(activity))

    @rule()
    def partner_terms_flip(self) -> None:
        self.model.partner = not self.model.partner

        async def change() -> None:
            self.house.service.consent.policy.replace_partners(self.model.room().partners)

        self.run(change())

    # What must hold

    @invariant()
    def gates_are_open_exactly_where_policy_allows(self) -> None:
        if self.context is None:
            return
        now_ms = self.house.clock.wall_ms()
        for consumer in self.model.running.values():
            for name in NAMES:
                person = self.model.people.get(name)
                is_open = person is not None and self.house.gate(consumer.activity, person.participant)
                assert is_open == self.model.allows(name, consumer, now_ms), (name, consumer.activity.use)

    @invariant()
    def nothing_else_is_open(self) -> None:
        if self.context is None:
            return
        page = self.house.plane.gates
        epochs = {consumer.activity.epoch_slot for consumer in self.model.running.values()}
        open_slots = {slot for slot in range(1, 200) if slot not in epochs and page.value(slot) & 1}
        known = {slot for name in NAMES for slot, _ in self.open_slots(name)}
        assert open_slots == known

    @invariant()
    def taps_and_outside_forwards_stand_behind_their_owners_gate(self) -> None:
        if self.context is None:
            return
        engine = self.house.plane.engine
        assert isinstance(engine, FakeEngine)
        owners = {
            track.track: name
            for name, person in self.model.people.items()
            for track in person.participant.info().tracks
        }
        outlets = [
            *engine.world.taps.values(),
            *(item for item in engine.world.forwards.values() if item.gate.slot),
        ]
        for outlet in outlets:
            slot = (outlet.gate.slot, outlet.gate.version)
            if self.house.is_open(slot) and outlet.track:
                assert slot in self.open_slots(owners[outlet.track])

    @invariant()
    def what_was_revoked_never_opens_again(self) -> None:
        for slot in self.model.revoked if self.context is not None else ():
            assert not self.house.is_open(slot)

    # Helpers

    def draw_active(self, data: st.DataObject) -> str | None:
        active = [name for name, person in self.model.people.items() if not person.suspended]
        return data.draw(st.sampled_from(active)) if active else None

    def newest(self) -> Acceptance:
        return Acceptance(terms_version=self.model.terms.documents[-1].version, age_18=True)

    def serves(self, acceptance: Acceptance) -> bool:
        return self.model.terms.serves(acceptance.terms_version, self.house.clock.wall_ms())

    def slots_of(self, name: str, consumer: Started | Watched) -> set[tuple[int, int]]:
        person = self.model.people.get(name)
        grant = consumer.activity.grants.get(person.participant.id) if person is not None else None
        return (
            {(grant.gate.slot, grant.gate.version)} if grant is not None and grant.gate is not None else set()
        )

    def open_slots(self, name: str, use: Any = None) -> set[tuple[int, int]]:
        return {
            slot
            for consumer in self.model.running.values()
            if use is None or consumer.activity.use == use
            for slot in self.slots_of(name, consumer)
        }

    def note_open(self, name: str) -> None:
        self.model.revoked |= self.open_slots(name)


TestConsent = ConsentMachine.TestCase
TestConsent.settings = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
