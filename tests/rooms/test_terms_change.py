"""A material change of the terms asks everyone again; a minor one does not."""

from dataclasses import replace

import pytest

from policy import DEFAULT_TERMS, RECORD, Acceptance, Media, Site, TermsError
from rooms import Code, ConsentChanged, Cut, Refused, TermsChanged
from tests.rooms.rig import START_MS, Rig, until

MATERIAL = replace(DEFAULT_TERMS, version="2027-01", number=2, is_material=True)


async def test_a_material_change_in_force_cuts_and_asks_again(house: Rig) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await house.acknowledge(ada)
    house.drain(ada)
    await house.service.consent.policy.publish(MATERIAL)
    assert not house.gate(consumer.activity, ada)
    await until(lambda: consumer.of(Cut), "cut")
    assert consumer.of(Cut)[0].reason == "terms_changed"
    events = house.drain(ada)
    assert TermsChanged(MATERIAL, False) in events
    assert any(isinstance(event, ConsentChanged) and event.reason == "terms_changed" for event in events)
    with pytest.raises(Refused) as refusal:
        await ada.chat("hello")
    assert refusal.value.code is Code.TERMS_REQUIRED
    assert refusal.value.terms_version == "2027-01"
    await ada.accept_terms("2027-01", age_18=True)
    assert house.gate(consumer.activity, ada)


async def test_a_change_that_comes_later_cuts_at_its_instant(house: Rig) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await house.acknowledge(ada)
    await house.service.consent.policy.publish(replace(MATERIAL, effective_at_ms=START_MS + 90_000))
    assert house.gate(consumer.activity, ada)
    # Accepting early is possible, and carries over.
    bob = await house.join("bob", accept=Acceptance(terms_version="2027-01", age_18=True))
    await house.acknowledge(bob)
    await house.clock.advance(91)
    assert not house.gate(consumer.activity, ada)
    assert house.gate(consumer.activity, bob)


async def test_a_minor_change_tells_and_cuts_nobody(house: Rig) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await house.acknowledge(ada)
    house.drain(ada)
    minor = replace(MATERIAL, is_material=False)
    await house.service.consent.policy.publish(minor)
    assert house.gate(consumer.activity, ada)
    assert TermsChanged(minor, True) in house.drain(ada)
    assert consumer.of(Cut) == []


async def test_terms_that_no_longer_ask_for_video_end_the_video_taps(house: Rig) -> None:
    ada = await house.join("ada")
    await house.publish(ada)
    consumer = await house.record()
    await house.acknowledge(ada)
    await until(lambda: len(consumer.taps(ada)) == 2, "taps")
    before = consumer.activity.grants[ada.id].gate
    uses = tuple(
        replace(item, media=frozenset({Media.AUDIO})) if item.use == RECORD else item
        for item in DEFAULT_TERMS.uses
    )
    await house.service.consent.policy.publish(replace(MATERIAL, is_material=False, uses=uses))
    await until(lambda: [tap.kind for tap in consumer.taps(ada)] == ["audio"], "audio alone")
    assert before is not None
    assert not house.is_open((before.slot, before.version))
    assert house.gate(consumer.activity, ada)


async def test_a_published_version_is_never_replaced(house: Rig) -> None:
    with pytest.raises(TermsError):
        await house.service.consent.policy.publish(replace(DEFAULT_TERMS, title="Other"))
    with pytest.raises(TermsError):
        await house.service.consent.policy.publish(replace(MATERIAL, number=1))


async def test_a_partners_terms_govern_what_goes_there_until_they_end(house: Rig) -> None:
    partner = await house.store.partners.add(
        name="TV",
        site="tv.example",
        policy_url="https://tv.example/privacy",
        terms_version="1",
        until_ms=START_MS + 60_000,
    )
    await house.service.consent.policy.reload_partners()
    site = Site(id="tv.example", name="TV", partner=partner.id)
    ada = await house.join("ada")
    live, recording = await house.broadcast(site), await house.record()
    await house.acknowledge(ada)
    assert house.gate(live.activity, ada)
    await house.clock.advance(61)
    assert not house.gate(live.activity, ada)
    assert live.of(Cut)[0].reason == "partner_terms"
    assert house.gate(recording.activity, ada)


async def test_a_site_that_is_dropped_no_longer_holds_the_others_back(house: Rig) -> None:
    ada = await house.join("ada")
    good, bad = Site(id="a", name="A"), Site(id="b", name="B", partner="pt_gone")
    live = await house.broadcast(good, bad)
    await house.acknowledge(ada)
    assert not house.gate(live.activity, ada)
    await live.activity.drop_site("b")
    assert house.gate(live.activity, ada)
    assert [site.id for site in ada.room.activities()[0].sites] == ["a"]
