"""What is encrypted end to end reaches participants alone, and everyone is told."""

import pytest

from rebroadcast.errors import PublisherEncrypted
from rebroadcast.publisher import check_publisher
from rooms import Code, Participant, Refused, SubscribeOfferReady, TrackPublished
from tests.rooms.rig import Rig, until
from tests.rooms.test_viewers import VIEW, VIEWER, outsider


async def encrypted(
    house: Rig, *, is_e2ee: bool = True, session: str = "7"
) -> tuple[Participant, Participant]:
    """Two people, the first of whom sends what only the second can read."""
    ada, bob = await house.join("ada"), await house.join("bob")
    published = await ada.publish(house.offer(session=session), is_e2ee=is_e2ee)
    assert all(track.is_e2ee is is_e2ee for track in published.tracks)
    return ada, bob


async def test_participants_get_it_and_are_told(house: Rig) -> None:
    ada, bob = await encrypted(house)
    assert [event.track.is_e2ee for event in house.events(bob, TrackPublished)] == [True, True]
    await until(lambda: house.events(bob, SubscribeOfferReady), "offer")
    offer = await bob.next_offer()
    assert offer is not None
    assert {track.participant for track in offer.tracks} == {ada.id}
    assert "red/48000" not in (await ada.publish(house.offer(), is_e2ee=True)).sdp
    cal = await house.join("cal")
    [shown] = [person for person in cal.room.participants() if person.id == ada.id]
    assert all(track.is_e2ee for track in shown.tracks)


async def test_it_is_in_no_recording_however_much_is_granted(house: Rig) -> None:
    ada, bob = await encrypted(house)
    await house.publish(bob)
    consumer = await house.record()
    await house.acknowledge(ada, bob)
    await until(lambda: len(consumer.taps(bob)) == 2, "bob's taps")
    assert consumer.taps(ada) == []
    # Sent in the clear, the same connection is recorded; encrypted again, it is not.
    await ada.publish(house.offer(session="7"))
    await until(lambda: len(consumer.taps(ada)) == 2, "taps of what is in the clear")
    await ada.publish(house.offer(session="7"), is_e2ee=True)
    await until(lambda: consumer.taps(ada) == [], "their end")


async def test_viewers_without_a_key_are_refused_with_the_reason(house: Rig) -> None:
    _, bob = await encrypted(house)
    tracks = await house.publish(bob)
    inside = await house.join("screen", permissions=VIEWER, accept=None, transport="whep")
    for viewer in (inside, await outsider(house)):
        with pytest.raises(Refused) as refusal:
            await viewer.view(house.offer(capture=VIEW), "ada")
        assert refusal.value.code is Code.E2EE
    speaking = await house.join("stage", permissions=VIEWER, accept=None, transport="whep")
    answer = await speaking.view(house.offer(capture=VIEW))
    assert {track.track for track in answer.tracks} == set(tracks)


async def test_it_cannot_be_passed_through(house: Rig) -> None:
    ada, _ = await encrypted(house)
    with pytest.raises(PublisherEncrypted, match="end to end"):
        check_publisher(ada.room, "ada")
