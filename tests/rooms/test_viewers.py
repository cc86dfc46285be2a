"""Viewers by WHEP: inside the room by permission, outside only by grants."""

import pytest

from policy import LIVE, RECORD, Permission, RoomMode, RoomSettings, Site
from rooms import OWN_SITE, Chat, ChatDeleted, Code, NoticeRaised, Participant, Refused, SinkLost
from sfu import ActiveSpeaker, SinkClosed, TrackId
from tests.rooms.rig import PARTNER_SITE, PERSON, Rig, rig, until

VIEWER = frozenset({Permission.JOIN, Permission.SUBSCRIBE})
VIEW = "chromium-offer-recvonly-av"


async def outsider(house: Rig, name: str = "viewer", site: Site | None = None) -> Participant:
    return await house.join(
        name, permissions=VIEWER, accept=None, transport="whep", is_external=True, site=site
    )


def shown(house: Rig, viewer: Participant) -> dict[str, TrackId | None]:
    viewing = house.member(viewer).viewing
    return dict(viewing.shown) if viewing is not None else {}


async def forwards_open(house: Rig, viewer: Participant) -> int:
    """How many of the viewer's forwards stand behind an open gate."""
    viewing = house.member(viewer).viewing
    assert viewing is not None
    engine = house.plane.engine
    found = [state for state in engine.world.forwards.values() if state.gate.slot]  # type: ignore[attr-defined]
    return sum(house.is_open((state.gate.slot, state.gate.version)) for state in found)


async def test_a_viewer_of_the_room_sees_without_any_grant(house: Rig) -> None:
    ada = await house.join("ada")
    tracks = await house.publish(ada)
    viewer = await house.join("screen", permissions=VIEWER, accept=None, transport="whep")
    answer = await viewer.view(house.offer(capture=VIEW), "ada")
    assert {track.track for track in answer.tracks} == set(tracks)
    assert ada.pending_notices() == ()


async def test_a_viewer_outside_is_not_listed_and_raises_a_notice_with_their_site(house: Rig) -> None:
    ada = await house.join("ada")
    await house.publish(ada)
    house.drain(ada)
    viewer = await outsider(house)
    with pytest.raises(Refused) as refusal:
        await viewer.view(house.offer(capture=VIEW), "ada")
    assert refusal.value.code is Code.FORBIDDEN
    assert "no_live_grant" in refusal.value.reason
    (notice,) = house.events(ada, NoticeRaised)
    assert (notice.uses, notice.sites) == ((LIVE,), (OWN_SITE,))
    assert [info.identity for info in ada.room.participants()] == ["ada"]
    await house.acknowledge(ada)
    await viewer.view(house.offer(capture=VIEW), "ada")
    assert await forwards_open(house, viewer) == 2


async def test_an_outside_forward_closes_with_the_grant_and_opens_with_the_next(house: Rig) -> None:
    ada = await house.join("ada")
    await house.publish(ada)
    viewer = await outsider(house)
    await viewer.view(house.offer(capture=VIEW))
    await house.acknowledge(ada)
    await until(lambda: None not in shown(house, viewer).values(), "shown")
    await house.clock.advance(0.01)
    assert await forwards_open(house, viewer) == 2
    revocation = await ada.revoke()
    assert len(revocation.cut) == 1
    assert await forwards_open(house, viewer) == 0
    await ada.consent({LIVE: True})
    viewing = house.member(viewer).viewing
    grant = next(iter(ada.room.house.scope._children), None)
    assert viewing is not None
    assert grant is not None
    for _ in range(50):
        if await forwards_open(house, viewer) == 2:
            break
        await house.clock.advance(0.01)
    assert await forwards_open(house, viewer) == 2


async def test_in_an_explicit_room_only_who_agreed_is_shown_outside() -> None:
    async with rig(settings=RoomSettings(mode=RoomMode.EXPLICIT)) as house:
        ada, cleo = await house.join("ada"), await house.join("cleo")
        ada_tracks, _ = await house.publish(ada), await house.publish(cleo)
        viewer = await outsider(house)
        await viewer.view(house.offer(capture=VIEW))
        await ada.consent({LIVE: True})
        await house.acknowledge(ada, cleo)
        await until(lambda: set(shown(house, viewer).values()) == set(ada_tracks), "ada")
        # Cleo speaks, and is still not shown.
        cleo_mic = cleo.info().tracks[0].track
        house.service._plane_events.take(ada.room, ActiveSpeaker(cleo_mic))
        await house.clock.advance(0.1)
        assert set(shown(house, viewer).values()) == set(ada_tracks)


async def test_the_picture_follows_the_speaker(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    ada_tracks, bob_tracks = await house.publish(ada), await house.publish(bob)
    viewer = await house.join("screen", permissions=VIEWER, accept=None, transport="whep")
    await viewer.view(house.offer(capture=VIEW))
    assert set(shown(house, viewer).values()) == set(ada_tracks)
    house.service._plane_events.take(ada.room, ActiveSpeaker(TrackId(bob_tracks[0])))
    await until(lambda: set(shown(house, viewer).values()) == set(bob_tracks), "bob")
    await bob.leave()
    await until(lambda: set(shown(house, viewer).values()) == set(ada_tracks), "ada again")


async def test_a_broadcast_that_names_the_site_covers_its_viewers(house: Rig) -> None:
    ada = await house.join("ada")
    await house.publish(ada)
    live = await house.broadcast(PARTNER_SITE)
    await house.acknowledge(ada)
    viewer = await outsider(house, site=PARTNER_SITE)
    await viewer.view(house.offer(capture=VIEW), "ada")
    assert [item.id for item in ada.room.activities()] == [live.activity.id]
    assert await forwards_open(house, viewer) == 2
    # The broadcast ends: the viewers go dark until a notice of their own is acknowledged.
    await live.activity.close()
    assert await forwards_open(house, viewer) == 0
    await until(ada.pending_notices, "notice")
    await house.acknowledge(ada)


async def test_viewing_ends_some_time_after_its_last_viewer(house: Rig) -> None:
    ada = await house.join("ada")
    viewer = await outsider(house)
    await viewer.view(house.offer(capture=VIEW))
    assert len(ada.room.activities()) == 1
    await viewer.leave()
    await house.clock.advance(29)
    assert len(ada.room.activities()) == 1
    await house.clock.advance(2)
    await until(lambda: ada.room.activities() == (), "end")


async def test_viewers_of_one_site_at_once_raise_one_notice(house: Rig) -> None:
    import asyncio  # noqa: PLC0415 - only this test needs it

    ada = await house.join("ada")
    viewers = [await outsider(house, f"viewer {number}") for number in range(4)]
    await asyncio.gather(*(viewer.view(house.offer(capture=VIEW)) for viewer in viewers))
    assert len(ada.room.activities()) == 1


async def test_outside_chat_carries_the_screen_name_alone_and_only_of_the_granted(house: Rig) -> None:
    ada, bob = await house.join("ada", name="Ada"), await house.join("bob")
    viewer = await outsider(house)
    await viewer.view(house.offer(capture=VIEW))
    await house.acknowledge(ada, bob)
    await bob.consent({LIVE: False})
    await ada.chat("hello"), await bob.chat("not outside")
    (line,) = [event.message for event in house.drain(viewer) if isinstance(event, Chat)]
    assert (line.name, line.text, line.identity, line.participant) == ("Ada", "hello", "", "")
    assert viewer.others() == ()
    assert viewer.chat_history() == ()


@pytest.mark.parametrize("way", ["revokes", "leaves", "is removed", "the room's uses change"])
async def test_chat_outside_is_taken_back_with_its_authors_grant_at_once(house: Rig, way: str) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    host = await house.join("host", permissions=PERSON | {Permission.MODERATE})
    viewer = await outsider(house)
    await viewer.view(house.offer(capture=VIEW))
    await house.acknowledge(ada, bob)
    first, _, other = await ada.chat("one"), await bob.chat("two"), await ada.chat("three")
    house.drain(viewer)
    match way:
        case "revokes":
            await ada.revoke()
        case "leaves":
            await ada.leave()
        case "is removed":
            await host.moderate("remove", "ada")
        case _:
            await house.service.update_room("demo", RoomSettings(uses=frozenset({RECORD})))
    gone = [event.id for event in house.drain(viewer) if isinstance(event, ChatDeleted)]
    assert gone[:2] == [first.id, other.id] if way != "the room's uses change" else len(gone) == 3


async def test_chat_outside_that_was_taken_back_is_not_taken_back_again(house: Rig) -> None:
    ada = await house.join("ada")
    viewer = await outsider(house)
    await viewer.view(house.offer(capture=VIEW))
    await house.acknowledge(ada)
    line = await ada.chat("one")
    await ada.delete_chat(line.id)
    await ada.revoke()
    assert [event.id for event in house.drain(viewer) if isinstance(event, ChatDeleted)] == [line.id]


async def test_outside_viewers_are_counted_apart_and_bounded() -> None:
    async with rig(settings=RoomSettings(max_viewers=1, max_participants=1)) as house:
        await house.join("ada")
        await outsider(house)
        with pytest.raises(Refused) as refusal:
            await outsider(house, "another")
        assert refusal.value.code is Code.ROOM_FULL


async def test_a_room_that_does_not_allow_live_shows_nothing_outside() -> None:
    async with rig(settings=RoomSettings(uses=frozenset())) as house:
        await house.publish(await house.join("ada"))
        viewer = await outsider(house)
        with pytest.raises(Refused) as refusal:
            await viewer.view(house.offer(capture=VIEW))
        assert refusal.value.code is Code.FORBIDDEN


async def test_a_consumer_that_hangs_up_loses_its_sink_and_nothing_else(house: Rig) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await house.acknowledge(ada)
    sink = consumer.activity.sink
    assert sink is not None
    house.service._plane_events.take(ada.room, SinkClosed(sink.id, "closed"))
    await until(lambda: consumer.of(SinkLost), "sink")
    assert consumer.activity.sink is None
    assert house.gate(consumer.activity, ada)
    await sink.close()
    await consumer.activity.new_sink()
