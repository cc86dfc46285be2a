"""What an activity reaches: one person alone when it is about one, and its own cuts only."""

from policy import LIVE, RECORD
from rooms import Cut, NoticeRaised, PersonChanged
from tests.rooms.rig import PARTNER_SITE, Rig, until
from tests.rooms.test_viewers import VIEW, outsider


async def both(house: Rig):
    people = [await house.join(name) for name in ("ada", "bob")]
    for person in people:
        await house.publish(person)
    return people


async def test_an_activity_about_one_person_takes_nothing_of_anybody_else(house: Rig) -> None:
    ada, bob = await both(house)
    consumer = await house.broadcast(only="ada")
    await house.acknowledge(ada, bob)
    await until(lambda: len(consumer.taps(ada)) == 2, "ada's taps")
    await bob.chat("bob says nothing here")
    await ada.chat("ada does")
    cal = await house.join("cal")
    await house.acknowledge(cal)
    await bob.leave()
    await until(lambda: "ada does" in [getattr(event, "text", "") for event in consumer.seen], "the line")
    assert not house.gate(consumer.activity, cal)
    assert {event.participant for event in consumer.seen if hasattr(event, "participant")} == {ada.id}
    assert not consumer.of(Cut)


async def test_everyone_is_told_of_an_activity_about_one_person(house: Rig) -> None:
    ada, bob = await both(house)
    house.drain(bob)
    await house.broadcast(only="ada")
    (notice,) = house.events(bob, NoticeRaised)
    assert (notice.uses, notice.sites) == ((LIVE,), (PARTNER_SITE,))
    assert ada.pending_notices()


async def test_somebody_who_comes_back_is_in_the_activity_about_them_again(house: Rig) -> None:
    ada, _ = await both(house)
    consumer = await house.broadcast(only="ada")
    await house.acknowledge(ada)
    await until(lambda: len(consumer.taps(ada)) == 2, "taps")
    await ada.leave()
    (cut,) = consumer.of(Cut)
    assert cut.reason == "left"
    again = await house.join("ada")
    await house.acknowledge(again)
    await house.publish(again)
    await until(lambda: len(consumer.taps(again)) == 2, "taps of the new join")
    last = [event for event in consumer.of(PersonChanged) if event.is_present][-1]
    assert (last.participant, last.name) == (again.id, "ada")


async def test_a_viewer_outside_is_not_governed_by_an_activity_about_one_person(house: Rig) -> None:
    ada, bob = await both(house)
    await house.broadcast(only="ada")
    await house.acknowledge(ada, bob)
    house.drain(bob)
    viewer = await outsider(house, site=PARTNER_SITE)
    await viewer.view(house.offer(capture=VIEW))
    assert [notice.sites for notice in house.events(bob, NoticeRaised)] == [(PARTNER_SITE,)]
    await viewer.leave()


async def test_a_cut_moves_the_epoch_of_its_own_activity_alone(house: Rig) -> None:
    ada, _ = await both(house)
    recording, broadcast = await house.record(), await house.broadcast()
    await house.acknowledge(ada)
    before = recording.activity.epoch, broadcast.activity.epoch
    await ada.consent({RECORD: False})
    assert (recording.activity.epoch, broadcast.activity.epoch) == (before[0] + 1, before[1])
    assert house.plane.gates.read(recording.activity.epoch_slot) == before[0] + 1
    assert house.plane.gates.read(broadcast.activity.epoch_slot) == before[1]
    assert [len(consumer.of(Cut)) for consumer in (recording, broadcast)] == [1, 0]


async def test_an_ended_activity_gives_its_epoch_back(house: Rig) -> None:
    await house.join("ada")
    page = house.plane.gates
    for _ in range(3):
        consumer = await house.broadcast()
        slot, epoch = consumer.activity.epoch_slot, consumer.activity.epoch
        assert page.is_open(slot, epoch)
        await consumer.activity.close()
        assert not page.is_open(slot, epoch)
    assert house.plane.allocator.allocate() == slot
    house.plane.allocator.release(slot)
