"""Gates follow consent: who is in an output, from when, and until when."""

import asyncio

import pytest

from policy import DEFAULT_TERMS, LIVE, RECORD, RoomMode, RoomSettings, Site
from rooms import (
    ActivitiesChanged,
    Code,
    Cut,
    NoticeRaised,
    PersonChanged,
    Refused,
    RevocationDone,
    TapClosed,
    TapOpened,
)
from tests.rooms.rig import ACCEPTED, HERE, PARTNER_SITE, PERSON, VOUCHED, Rig, rig, until

EXPLICIT = RoomSettings(mode=RoomMode.EXPLICIT)


async def test_a_recording_taps_nobody_before_they_acknowledge(house: Rig) -> None:
    ada = await house.join("ada")
    await house.publish(ada)
    consumer = await house.record()
    assert not house.gate(consumer.activity, ada)
    await house.acknowledge(ada)
    assert house.gate(consumer.activity, ada)
    await until(lambda: len(consumer.taps(ada)) == 2, "taps")


async def test_the_start_of_a_recording_tells_everyone_the_use_and_the_sites(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    house.drain(ada), house.drain(bob)
    consumer = await house.record()
    for person in (ada, bob):
        events = house.drain(person)
        (notice,) = [event for event in events if isinstance(event, NoticeRaised)]
        assert (notice.uses, notice.sites, notice.activity) == ((RECORD,), (HERE,), consumer.activity.id)
        (changed,) = [event for event in events if isinstance(event, ActivitiesChanged)]
        assert [item.id for item in changed.activities] == [consumer.activity.id]


async def test_everyone_is_told_which_sites_of_a_broadcast_take_it(house: Rig) -> None:
    ada = await house.join("ada")
    other = Site(id="pt_other", name="Other", partner=PARTNER_SITE.partner)
    live = (await house.broadcast(PARTNER_SITE, other)).activity
    both = {PARTNER_SITE.id, other.id}
    assert live.info().unreached == both
    house.drain(ada)
    live.reach({other.id})
    live.reach({other.id})
    (changed,) = house.events(ada, ActivitiesChanged)
    assert [activity.unreached for activity in changed.activities] == [{PARTNER_SITE.id}]
    await live.drop_site(PARTNER_SITE.id)
    assert live.info().unreached == frozenset()
    live.reach(())
    assert live.info().unreached == {other.id}
    assert (await house.record()).activity.info().unreached == frozenset()


async def test_who_joins_later_gets_the_notice_too_and_is_out_until_acknowledged(house: Rig) -> None:
    await house.join("ada")
    consumer = await house.record()
    bob = await house.join("bob")
    assert [notice.activity for notice in bob.pending_notices()] == [consumer.activity.id]
    assert house.events(bob, NoticeRaised)
    with pytest.raises(Refused) as refusal:
        await house.publish(bob)
    assert refusal.value.code is Code.NOTICE_REQUIRED
    assert refusal.value.notices
    await house.acknowledge(bob)
    await house.publish(bob)
    await until(lambda: len(consumer.taps(bob)) == 2, "taps")


async def test_a_placeholder_has_no_name_until_granted(house: Rig) -> None:
    ada = await house.join("ada", name="Ada L.")
    consumer = await house.record()
    await until(lambda: consumer.of(PersonChanged), "introduction")
    assert [person.name for person in consumer.of(PersonChanged)] == [None]
    await house.acknowledge(ada)
    await until(lambda: len(consumer.of(PersonChanged)) == 2, "name")
    assert consumer.of(PersonChanged)[-1].name == "Ada L."


async def test_an_explicit_room_needs_a_yes_for_each_use() -> None:
    async with rig(settings=EXPLICIT) as house:
        ada = await house.join("ada")
        consumer = await house.record()
        await house.acknowledge(ada)
        assert not house.gate(consumer.activity, ada)
        await ada.consent({LIVE: True})
        assert not house.gate(consumer.activity, ada)
        await ada.consent({RECORD: True})
        assert house.gate(consumer.activity, ada)


async def test_a_revocation_closes_before_it_returns_and_is_acknowledged(house: Rig) -> None:
    ada = await house.join("ada")
    await house.publish(ada)
    consumer = await house.record()
    await house.acknowledge(ada)
    await until(lambda: len(consumer.taps(ada)) == 2, "taps")
    opened = consumer.of(TapOpened)[0]
    epoch = consumer.activity.epoch
    revocation = await ada.revoke()
    assert not house.is_open((opened.slot, opened.version))
    assert revocation.cut == (consumer.activity.id,)
    assert revocation.killed == ()
    assert revocation.is_recorded
    (cut,) = consumer.of(Cut)
    assert cut.slots == ((opened.slot, opened.version),)
    assert (cut.person, cut.epoch) == (ada.person, epoch + 1)
    assert house.plane.gates.read(consumer.activity.epoch_slot) == cut.epoch
    assert len(consumer.of(TapClosed)) == 2
    assert house.events(ada, RevocationDone)


async def test_gates_are_closed_before_the_first_await_of_a_revocation(house: Rig) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await house.acknowledge(ada)
    coroutine = ada.revoke()
    pending = asyncio.get_running_loop().create_task(coroutine)
    await asyncio.sleep(0)
    assert not house.gate(consumer.activity, ada)
    assert not pending.done()
    await pending


async def test_a_consumer_that_does_not_acknowledge_in_150_ms_is_killed_and_its_sink_closed(
    house: Rig,
) -> None:
    ada = await house.join("ada")
    consumer = await house.record(acknowledges=False)
    await house.acknowledge(ada)
    pending = asyncio.get_running_loop().create_task(ada.revoke())
    await until(lambda: consumer.of(Cut), "cut")
    await house.clock.advance(0.149)
    assert not pending.done()
    assert house.killed == []
    await house.clock.advance(0.002)
    revocation = await pending
    assert house.killed == ["cut_timeout"]
    assert revocation.killed == (consumer.activity.id,)
    assert consumer.activity.sink is None


async def test_a_killed_consumer_goes_on_with_a_new_sink(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    await house.publish(ada), await house.publish(bob)
    consumer = await house.record(acknowledges=False)
    await house.acknowledge(ada, bob)
    await until(lambda: len(consumer.taps(bob)) == 2, "taps")
    pending = asyncio.get_running_loop().create_task(ada.revoke())
    await until(lambda: consumer.of(Cut), "cut")
    await house.clock.advance(0.2)
    await pending
    assert consumer.taps(bob) == []
    await consumer.activity.new_sink()
    await until(lambda: len(consumer.taps(bob)) == 2, "taps again")
    assert consumer.taps(ada) == []


async def test_taking_back_one_use_leaves_the_others(house: Rig) -> None:
    ada = await house.join("ada")
    recording, broadcast = await house.record(), await house.broadcast()
    await house.acknowledge(ada)
    states, revocation = await ada.consent({LIVE: False})
    assert revocation is not None
    assert revocation.cut == (broadcast.activity.id,)
    assert not house.gate(broadcast.activity, ada)
    assert house.gate(recording.activity, ada)
    assert states[LIVE] == "refused"


async def test_agreeing_again_after_a_revocation_opens_under_a_new_version(house: Rig) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await house.acknowledge(ada)
    first = consumer.activity.grants[ada.id].gate
    await ada.revoke()
    await ada.consent({RECORD: True})
    second = consumer.activity.grants[ada.id].gate
    assert first is not None
    assert second is not None
    assert second.version > first.version
    assert not house.is_open((first.slot, first.version))


async def test_each_notice_counts_for_its_own_activity(house: Rig) -> None:
    ada = await house.join("ada")
    first = await house.record()
    await house.acknowledge(ada)
    second = await house.broadcast()
    assert house.gate(first.activity, ada)
    assert not house.gate(second.activity, ada)


async def test_a_whip_publisher_with_a_vouched_claim_is_tapped_without_a_notice_of_its_own(
    house: Rig,
) -> None:
    dora = await house.join("dora", transport="whip", accept=VOUCHED, choices={RECORD: True})
    await house.publish(dora)
    consumer = await house.record()
    await until(lambda: len(consumer.taps(dora)) == 2, "taps")
    rows = await house.store.ledger.rows()
    assert all(row.vouched for row in rows if row.kind in {"terms_accepted", "notice_acknowledged"})


async def test_a_vouched_claim_covers_only_the_uses_it_names(house: Rig) -> None:
    dora = await house.join("dora", transport="whip", accept=VOUCHED, choices={RECORD: True})
    recording, broadcast = await house.record(), await house.broadcast()
    await until(lambda: house.gate(recording.activity, dora), "recording gate")
    await house.clock.advance(1)
    assert not house.gate(broadcast.activity, dora)


async def test_a_whip_publisher_without_terms_comes_in_while_nothing_runs_and_is_never_used(
    house: Rig,
) -> None:
    eve = await house.join("eve", transport="whip", accept=None)
    await house.publish(eve)
    consumer = await house.record()
    with pytest.raises(Refused) as refusal:
        await house.join("finn", transport="whip", accept=None)
    assert refusal.value.code is Code.NOTICE_REQUIRED
    assert RECORD in refusal.value.reason
    await house.clock.advance(1)
    assert not house.gate(consumer.activity, eve)
    assert eve.info().tracks


async def test_a_publisher_who_does_not_acknowledge_stays_in_the_room_but_adds_nothing(house: Rig) -> None:
    ada = await house.join("ada")
    session = "77"
    await ada.publish(house.offer(session=session))
    consumer = await house.record()
    assert len(ada.info().tracks) == 2
    # The same connection may renegotiate what it has ...
    await ada.publish(house.offer(session=session))
    # ... but a new one, and a chat line, wait for the acknowledgement.
    with pytest.raises(Refused):
        await house.publish(ada)
    with pytest.raises(Refused) as refusal:
        await ada.chat("hello")
    assert refusal.value.code is Code.NOTICE_REQUIRED
    assert not house.gate(consumer.activity, ada)


async def test_chat_goes_out_only_of_the_granted(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    consumer = await house.record()
    await house.acknowledge(ada, bob)
    await bob.consent({RECORD: False})
    await ada.chat("from ada")
    await bob.chat("from bob")
    await ada.chat("only for bob", to=bob.id)
    await until(lambda: [e for e in consumer.seen if type(e).__name__ == "ChatLine"], "chat line")
    lines = [event for event in consumer.seen if type(event).__name__ == "ChatLine"]
    assert [line.text for line in lines] == ["from ada"]
    assert house.is_open((lines[0].slot, lines[0].version))


async def test_leaving_is_a_revocation(house: Rig) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await house.acknowledge(ada)
    gate = consumer.activity.grants[ada.id].gate
    assert gate is not None
    await ada.leave()
    assert not house.is_open((gate.slot, gate.version))
    assert consumer.of(Cut)[0].reason == "left"
    await until(lambda: not consumer.of(PersonChanged)[-1].is_present, "gone")
    assert ("revoked", "left") in await house.rows()


async def test_stopping_an_activity_closes_its_gates_without_a_cut(house: Rig) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await house.acknowledge(ada)
    gate = consumer.activity.grants[ada.id].gate
    assert gate is not None
    await consumer.activity.close()
    assert not house.is_open((gate.slot, gate.version))
    assert consumer.of(Cut) == []
    assert ada.room.activities() == ()
    await consumer.activity.close()


async def test_an_acknowledgement_of_something_that_is_over_is_refused_with_not_found(house: Rig) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await consumer.activity.close()
    with pytest.raises(Refused) as refusal:
        await ada.acknowledge(consumer.activity.notice_id)
    assert refusal.value.code is Code.NOT_FOUND


async def test_settings_that_no_longer_allow_a_use_cut_it(house: Rig) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await house.acknowledge(ada)
    await house.service.update_room("demo", RoomSettings(uses=frozenset({LIVE})))
    assert not house.gate(consumer.activity, ada)
    assert consumer.of(Cut)[0].reason == "settings_changed"


async def test_an_agreement_under_way_when_a_refusal_comes_does_not_take_effect(house: Rig) -> None:
    async with rig(settings=EXPLICIT) as other:
        ada = await other.join("ada")
        consumer = await other.record()
        await other.acknowledge(ada)
        agreeing = asyncio.get_running_loop().create_task(ada.consent({RECORD: True}))
        await asyncio.sleep(0)
        await ada.revoke()
        await agreeing
        assert not other.gate(consumer.activity, ada)
        standing = await other.store.ledger.choices_of(ada.person)
        assert standing.uses[RECORD] is False


async def test_terms_must_be_accepted_in_the_version_in_force_and_with_the_age_statement(house: Rig) -> None:
    ada = await house.join("ada", accept=None)
    with pytest.raises(Refused) as refusal:
        await house.publish(ada)
    assert refusal.value.code is Code.TERMS_REQUIRED
    assert refusal.value.terms_version == DEFAULT_TERMS.version
    with pytest.raises(Refused) as refusal:
        await ada.accept_terms(DEFAULT_TERMS.version, age_18=False)
    assert refusal.value.code is Code.AGE_REQUIRED
    with pytest.raises(Refused) as refusal:
        await ada.accept_terms("1999-01", age_18=True)
    assert refusal.value.code is Code.CONFLICT
    await ada.accept_terms(DEFAULT_TERMS.version, age_18=True)
    await house.publish(ada)


async def test_somebody_under_age_may_watch_and_leaves_no_row(house: Rig) -> None:
    minor = await house.join("kid", accept=type(ACCEPTED)(terms_version=DEFAULT_TERMS.version, age_18=False))
    with pytest.raises(Refused):
        await house.publish(minor)
    assert await house.rows() == []
    assert await house.store.persons.find("kid") is None


async def test_a_broadcast_without_the_permission_is_refused(house: Rig) -> None:
    await house.join("ada")
    with pytest.raises(Refused) as refusal:
        await house.broadcast(permissions=PERSON)
    assert refusal.value.code is Code.FORBIDDEN


async def test_a_partner_without_terms_gets_nobody(house: Rig) -> None:
    ada = await house.join("ada")
    site = type(PARTNER_SITE)(id="x.example", name="X", partner="pt_unknown")
    consumer = await house.broadcast(site)
    await house.acknowledge(ada)
    assert not house.gate(consumer.activity, ada)
