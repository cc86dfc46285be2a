"""Where somebody went, as the rows of a real room tell it: never shorter than what its gates let through."""

from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant

from policy import DEFAULT_TERMS, LIVE, RECORD, PartnerTerms, RoomMode, RoomSettings, Site
from rebroadcast.spread import spans_of
from store import LedgerKind
from tests.rooms.rig import START_MS, rig, until
from tests.rooms.test_consent_machine import NAMES, ConsentMachine

TV = Site(id="tv", name="TV", partner="pt_tv")
RADIO = Site(id="radio", name="Radio", partner="pt_radio")
TERMS = {name: PartnerTerms(partner=name, uses=frozenset({LIVE})) for name in ("pt_tv", "pt_radio")}
MATERIAL = replace(DEFAULT_TERMS, version="2027-01", number=2, is_material=True)


class Scene:
    """A room that goes on a second with each step, and whose gates are looked at in each."""

    def __init__(self, house, ada):
        self.house, self.ada = house, ada
        self.live = {}
        self._open = defaultdict(list)

    async def broadcast(self, name, site=TV, room="demo"):
        self.live[name] = await self.house.broadcast(site, room=room, activity_id=name)

    async def step(self, *done):
        """Wait until this is done, then a second: the names of what Ada is in during it."""
        for one in done:
            await one
        names = [name for name, consumer in self.live.items() if self.house.gate(consumer.activity, self.ada)]
        for name in names:
            self._open[name].append(self.now_s)
        await self.house.clock.advance(1)
        return names

    @property
    def now_s(self):
        return (self.house.clock.wall_ms() - START_MS) // 1000

    async def told(self):
        """Spans in seconds, by broadcast; whatever went out is in one of them."""
        ledger = self.house.store.ledger
        rows = [row async for row in ledger.each(person=self.ada.person)]
        stops = {row.activity: row.at_ms async for row in ledger.each(kind=LedgerKind.ACTIVITY_STOPPED)}
        spans = defaultdict(list)
        for span in spans_of(rows, stops):
            until_s = None if span.until_ms is None else (span.until_ms - START_MS) // 1000
            spans[span.activity].append(((span.from_ms - START_MS) // 1000, until_s))
        for name, seconds in self._open.items():
            for at_s in seconds:
                assert any(
                    from_s <= at_s and (until_s is None or at_s < until_s) for from_s, until_s in spans[name]
                ), f"{name} at {at_s} s is missing in {spans[name]}"
        return dict(spans)


@asynccontextmanager
async def scene():
    """Ada has acknowledged the broadcast `bc` in second 0, and is in it in second 1."""
    async with rig() as house:
        house.service.consent.policy.replace_partners(TERMS)
        made = Scene(house, await house.join("ada"))
        await made.broadcast("bc")
        assert await made.step(house.acknowledge(made.ada)) == ["bc"]
        yield made


async def test_a_span_begins_with_the_notice_and_ends_with_the_program():
    async with scene() as made:
        assert await made.told() == {"bc": [(0, None)]}
        await made.step(made.live["bc"].activity.close("closed"))
        await made.step(made.ada.leave())
        assert await made.told() == {"bc": [(0, 1)]}


async def test_a_revocation_ends_every_program_of_its_room_and_no_other():
    async with scene() as made:
        elsewhere = await made.house.join("ada", room="other")
        await made.broadcast("second")
        await made.broadcast("third", room="other")
        await made.step(made.house.acknowledge(made.ada, elsewhere))
        await made.step(made.ada.consent({LIVE: False}))
        assert await made.told() == {"bc": [(0, 2)], "second": [(1, 2)], "third": [(1, None)]}


async def test_taking_back_another_use_ends_nothing():
    async with scene() as made:
        assert await made.step(made.ada.consent({RECORD: False})) == ["bc"]
        assert await made.told() == {"bc": [(0, None)]}


async def test_who_agrees_again_is_in_it_again():
    async with scene() as made:
        assert await made.step(made.ada.consent({LIVE: False})) == []
        assert await made.step(made.ada.consent({LIVE: True})) == ["bc"]
        await made.step(made.live["bc"].activity.close("closed"))
        assert await made.told() == {"bc": [(0, 1), (2, 3)]}


async def test_who_comes_back_to_what_is_over_is_not_in_it():
    async with scene() as made:
        await made.step(made.ada.consent({LIVE: False}))
        await made.step(made.live["bc"].activity.close("closed"))
        await made.step(made.ada.consent({LIVE: True}))
        assert await made.told() == {"bc": [(0, 1)]}


async def test_who_was_suspended_and_resumes_is_in_it_again():
    async with scene() as made:
        assert await made.step(made.ada.suspend()) == []
        made.ada = await made.house.join("ada", accept=None, resume=made.ada.resume_secret, media="kept")
        assert await made.step() == ["bc"]
        assert await made.told() == {"bc": [(0, 1), (2, None)]}


@pytest.mark.parametrize("ending", ["left", "removed", "lost"])
async def test_what_was_acknowledged_ends_with_the_stay(ending):
    async with scene() as made:
        await made.step(made.ada.leave(ending))
        made.ada = await made.house.join("ada")
        assert await made.step() == []
        assert await made.told() == {"bc": [(0, 1)]}
        assert await made.step(made.house.acknowledge(made.ada)) == ["bc"]
        assert await made.told() == {"bc": [(0, 1), (3, None)]}


async def new_terms(made):
    await made.house.service.consent.policy.publish(MATERIAL)


async def accepted(made):
    await made.ada.accept_terms(MATERIAL.version, age_18=True)


async def without_live(made):
    await made.house.service.update_room("demo", RoomSettings(uses=frozenset({RECORD})))


async def with_live(made):
    await made.house.service.update_room("demo", RoomSettings())


async def no_terms_of_tv(made):
    made.house.service.consent.policy.replace_partners({"pt_radio": TERMS["pt_radio"]})


async def terms_of_tv(made):
    made.house.service.consent.policy.replace_partners(TERMS)


async def _tamper(made, sign):
    await made.house.store._writer.run(
        lambda connection: (
            connection.exec_driver_sql("DROP TRIGGER IF EXISTS ledger_no_update"),
            connection.exec_driver_sql(f"UPDATE ledger SET at_ms = at_ms {sign} 1 WHERE seq = 1"),
        )
    )
    await made.house.service.consent.verify_ledger()


async def ledger_changed(made):
    await _tamper(made, "+")


async def ledger_restored(made):
    await _tamper(made, "-")


@pytest.mark.parametrize(
    ("ends", "begins"),
    [
        (new_terms, accepted),
        (without_live, with_live),
        (no_terms_of_tv, terms_of_tv),
        (ledger_changed, ledger_restored),
    ],
)
async def test_what_opens_again_without_a_row_of_that_person_is_in_their_span(ends, begins):
    async with scene() as made:
        assert await made.step(ends(made)) == []
        assert await made.step(begins(made)) == ["bc"]
        assert await made.told() == {"bc": [(0, None)]}
        await made.step(made.ada.leave())
        await until(lambda: not made.house.service._house.keeper.is_failing, "the rows")
        assert await made.told() == {"bc": [(0, 3)]}


async def test_the_terms_of_one_partner_end_no_span_of_what_goes_to_another():
    async with scene() as made:
        await made.broadcast("radio", RADIO)
        assert await made.step(made.house.acknowledge(made.ada)) == ["bc", "radio"]
        assert await made.step(no_terms_of_tv(made)) == ["radio"]
        assert (await made.told())["radio"] == [(1, None)]


async def test_a_cut_that_is_written_after_the_person_agreed_again_ends_nothing():
    async with scene() as made:
        consumer = made.live["bc"]
        consumer.acknowledges = False
        cutting = made.ada._desks.consent.refuse(made.ada.room, made.ada._member, (LIVE,), "revoked")
        await made.house.clock.advance(0.1)
        await made.ada.consent({LIVE: True})
        assert await made.step() == ["bc"]  # the consumer was too late, and the row is written now
        await cutting
        kinds = [kind for kind, _ in await made.house.rows()]
        assert kinds[-2:] == ["use_agreed", "revoked"]
        assert await made.told() == {"bc": [(0, None)]}


async def test_whoever_acknowledged_nothing_went_nowhere():
    async with rig() as house:
        made = Scene(house, await house.join("ada"))
        await made.broadcast("bc", Site(id="own", name="Own"))
        await made.step(made.ada.leave())
        assert await made.told() == {}


async def test_who_acknowledged_before_accepting_is_in_it_from_the_acceptance_on():
    async with rig() as house:
        made = Scene(house, await house.join("ada", accept=None))
        await made.broadcast("bc", Site(id="own", name="Own"))
        assert await made.step(house.acknowledge(made.ada)) == []
        assert await house.store.ledger.rows(kind=LedgerKind.NOTICE_ACKNOWLEDGED) == ()
        assert await made.step(made.ada.accept_terms(DEFAULT_TERMS.version, age_18=True)) == ["bc"]
        assert await made.told() == {"bc": [(1, None)]}


class SpreadMachine(ConsentMachine):
    """Any order of what people do, under a clock that goes on."""

    def __init__(self):
        super().__init__()
        self.sent = defaultdict(list)

    @initialize(mode=st.sampled_from(RoomMode))
    def open_house(self, mode):
        super().open_house(mode)
        self.do_start(LIVE)
        for name in NAMES:
            self.do_agree(name)

    @invariant()
    def what_was_sent_is_in_a_span(self):
        if self.context is None:
            return
        now_ms = self.house.clock.wall_ms()
        for consumer in self.model.running.values():
            for name in NAMES if consumer.activity.use == LIVE else ():
                if self.slots_of(name, consumer):
                    person = self.model.people[name].participant.person
                    self.sent[person].append((consumer.activity.id, now_ms))
        self.run(self.house.clock.advance(0.01))
        for person, moments in self.sent.items():
            spans = self.run(self.spans(person))
            for activity, at_ms in moments:
                assert any(
                    span.activity == activity
                    and span.from_ms <= at_ms
                    and (span.until_ms is None or at_ms < span.until_ms)
                    for span in spans
                ), (activity, at_ms, spans)

    async def spans(self, person):
        ledger = self.house.store.ledger
        rows = [row async for row in ledger.each(person=person)]
        stops = {row.activity: row.at_ms async for row in ledger.each(kind=LedgerKind.ACTIVITY_STOPPED)}
        return spans_of(rows, stops)


TestSpread = SpreadMachine.TestCase
TestSpread.settings = settings(ConsentMachine.TestCase.settings, max_examples=25)
