"""What people send and receive, and what ends when a permission does (threat model, row 29)."""

import asyncio
import contextlib
import re
from collections.abc import Iterator

import pytest

from policy import Permission, RoomSettings
from rooms import (
    Code,
    Refused,
    Source,
    State,
    SubscribeOfferReady,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
)
from sfu import PeerActive, PeerFailed, PeerIdle, Router, TrackCodec
from tests.rooms.rig import PERSON, START_MS, Rig, rig, until


@contextlib.contextmanager
def hold(monkeypatch: pytest.MonkeyPatch, method: str) -> Iterator[asyncio.Event]:
    """Let calls of a router's method wait until the context ends; the event: one does."""
    real, waits, may_go = getattr(Router, method), asyncio.Event(), asyncio.Event()

    async def held(*arguments: object) -> None:
        waits.set()
        await may_go.wait()
        await real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Router, method, held)
        try:
            yield waits
        finally:
            may_go.set()


async def test_a_track_is_announced_with_its_source_and_offered_to_the_others(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    house.drain(ada), house.drain(bob)
    published = await ada.publish(house.offer(), {"0": Source.SCREEN_AUDIO, "1": Source.SCREEN})
    assert {track.mid: track.source for track in published.tracks} == {
        "0": Source.SCREEN_AUDIO,
        "1": Source.SCREEN,
    }
    await until(lambda: house.member(bob).subscriber is not None, "subscriber")
    events = house.drain(bob)
    assert [event.track.kind for event in events if isinstance(event, TrackPublished)] == ["audio", "video"]
    await until(lambda: SubscribeOfferReady() in events or house.drain(bob), "offer")
    offer = await bob.next_offer()
    assert offer is not None
    assert offer.is_fresh
    assert {(track.participant, track.source) for track in offer.tracks} <= {
        (ada.id, Source.SCREEN),
        (ada.id, Source.SCREEN_AUDIO),
    }
    assert house.events(ada, TrackPublished) == []


async def test_a_source_that_does_not_fit_the_kind_becomes_the_usual_one(house: Rig) -> None:
    ada = await house.join("ada")
    published = await ada.publish(house.offer(), {"0": Source.SCREEN, "1": Source.MIC})
    assert [track.source for track in published.tracks] == [Source.MIC, Source.CAMERA]


async def test_who_comes_later_is_offered_what_is_there(house: Rig) -> None:
    ada = await house.join("ada")
    await house.publish(ada)
    bob = await house.join("bob")
    await until(lambda: house.events(bob, SubscribeOfferReady), "offer")
    offer = await bob.next_offer()
    assert offer is not None
    assert len(offer.tracks) >= 1
    assert await bob.next_offer() is None


async def test_without_the_subscribe_permission_nothing_is_offered(house: Rig) -> None:
    ada = await house.join("ada")
    bob = await house.join("bob", permissions=PERSON - {Permission.SUBSCRIBE})
    await house.publish(ada)
    await house.clock.advance(0.1)
    assert house.member(bob).subscriber is None


async def test_without_the_publish_permission_an_offer_is_refused(house: Rig) -> None:
    ada = await house.join("ada", permissions=PERSON - {Permission.PUBLISH})
    with pytest.raises(Refused) as refusal:
        await house.publish(ada)
    assert refusal.value.code is Code.FORBIDDEN


async def test_another_list_of_codecs_counts_for_who_publishes_from_then_on(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    session = "7001"
    before = await ada.publish(house.offer(session=session))
    assert "VP8/90000" in before.sdp
    await house.service.update_room("demo", RoomSettings(video_codecs=("h264",)))
    assert "VP8/90000" in (await ada.publish(house.offer(session=session))).sdp
    after = (await bob.publish(house.offer())).sdp
    assert "H264/90000" in after
    assert "VP8/90000" not in after


async def test_a_publish_permission_that_ends_takes_the_media_with_it(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    tracks = await house.publish(ada)
    house.drain(bob)
    await ada.renew(START_MS + 60_000, PERSON - {Permission.PUBLISH})
    assert [event.track for event in house.events(bob, TrackUnpublished)] == list(tracks)
    assert (await ada.room.stats()).tracks == ()
    with pytest.raises(Refused):
        await house.publish(ada)


async def test_a_subscribe_permission_that_ends_takes_the_reception_with_it(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    await house.publish(ada)
    await until(lambda: house.member(bob).subscriber is not None, "subscriber")
    await bob.renew(START_MS + 60_000, PERSON - {Permission.SUBSCRIBE})
    assert house.member(bob).subscriber is None
    await bob.renew(START_MS + 60_000, PERSON)
    await until(lambda: house.member(bob).subscriber is not None, "subscriber again")


async def test_a_renewal_without_join_or_with_an_expired_token_is_refused(house: Rig) -> None:
    ada = await house.join("ada")
    with pytest.raises(Refused) as refusal:
        await ada.renew(START_MS - 1, PERSON)
    assert refusal.value.code is Code.UNAUTHORIZED
    with pytest.raises(Refused) as refusal:
        await ada.renew(START_MS + 1000, PERSON - {Permission.JOIN})
    assert refusal.value.code is Code.FORBIDDEN
    assert ada.permissions == PERSON


async def test_a_new_connection_replaces_the_old_one(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    first = await house.publish(ada)
    house.drain(bob)
    second = await house.publish(ada)
    assert set(first).isdisjoint(second)
    assert len(ada.info().tracks) == 2
    unpublished = [event.track for event in house.events(bob, TrackUnpublished)]
    assert unpublished == list(first)


async def test_a_renegotiation_keeps_the_tracks(house: Rig) -> None:
    ada = await house.join("ada")
    first = await ada.publish(house.offer(session="5"))
    second = await ada.publish(house.offer(session="5"))
    assert [track.track for track in first.tracks] == [track.track for track in second.tracks]


async def test_an_offer_with_another_certificate_is_of_a_new_connection_whatever_its_session_id(
    house: Rig,
) -> None:
    """Some clients make the id of the time in seconds: a second connection at once has the first one's."""
    ada = await house.join("ada")
    first = await ada.publish(house.offer(session="5"))
    other = re.sub(r"(a=fingerprint:sha-256) BF", r"\1 AA", house.offer(session="5"))
    second = await ada.publish(other)
    assert {track.track for track in first.tracks}.isdisjoint(track.track for track in second.tracks)
    assert [track.track for track in ada.info().tracks] == [track.track for track in second.tracks]


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_connection_that_ends_while_it_is_negotiated_leaves_no_tracks(
    house: Rig, is_new: bool
) -> None:
    ada = await house.join("ada")
    if not is_new:
        await ada.publish(house.offer(session="5"))
    router = ada.room.router
    restarting = re.sub(r"a=ice-ufrag:\S+", "a=ice-ufrag:other", house.offer(session="5"))
    publishing = asyncio.get_running_loop().create_task(ada.publish(restarting))
    await asyncio.sleep(0)
    (peer,) = router._roster.peers
    router._roster.member(peer).peer.fail("closed_by_peer")
    with pytest.raises(Refused) as refusal:
        await publishing
    assert refusal.value.code is Code.NOT_FOUND
    await until(lambda: house.member(ada).publish_peer is None, "end of the connection")
    assert ada.info().tracks == ()
    await house.publish(ada)


async def test_a_permission_that_ends_while_an_offer_is_negotiated_ends_the_connection(house: Rig) -> None:
    ada = await house.join("ada")
    publishing = asyncio.get_running_loop().create_task(ada.publish(house.offer()))
    await asyncio.sleep(0)
    await ada.renew(None, PERSON - {Permission.PUBLISH})
    with pytest.raises(Refused) as refusal:
        await publishing
    assert refusal.value.code is Code.FORBIDDEN
    assert ada.info().tracks == ()
    assert ada.room.router._roster.peers == ()


async def test_a_second_offer_before_the_first_is_answered_is_refused(house: Rig) -> None:
    ada = await house.join("ada")
    first = asyncio.get_running_loop().create_task(ada.publish(house.offer()))
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refusal:
        await ada.publish(house.offer())
    assert refusal.value.code is Code.CONFLICT
    await first


async def test_an_offer_while_the_last_connection_is_replaced_is_refused(
    house: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    await house.publish(ada)
    with hold(monkeypatch, "remove_peer") as held:
        second = asyncio.get_running_loop().create_task(house.publish(ada))
        await held.wait()
        with pytest.raises(Refused) as refusal:
            await house.publish(ada)
        assert refusal.value.code is Code.CONFLICT
    tracks = await second
    assert tuple(track.track for track in ada.info().tracks) == tracks
    assert {track.track for track in (await ada.room.stats()).tracks} == set(tracks)
    await until(lambda: len(ada.room.router._roster.peers) == 2, "ada's one connection, and bob's")
    assert house.member(bob).subscriber is not None


async def test_a_connection_that_ends_while_its_tracks_are_taken_leaves_none(
    house: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await house.join("ada")
    house.member(ada).enforced.add("audio")
    with hold(monkeypatch, "set_enabled") as held:
        publishing = asyncio.get_running_loop().create_task(house.publish(ada))
        await held.wait()
        peer = house.member(ada).publish_peer
        assert peer is not None
        house.service._plane_events.take(ada.room, PeerFailed(peer, "closed_by_peer"))
    with pytest.raises(Refused) as refusal:
        await publishing
    assert refusal.value.code is Code.CONFLICT
    assert ada.info().tracks == ()


@pytest.mark.parametrize("is_new", [True, False])
async def test_an_offer_that_hides_what_it_sends_ends_its_connection_and_no_other(
    house: Rig, is_new: bool
) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    first = [track.track for track in (await ada.publish(house.offer(session="5"))).tracks]
    house.drain(bob)
    head, _, _ = house.offer(session="6" if is_new else "5").rpartition("a=sendonly")
    _, _, tail = house.offer().rpartition("a=sendonly")
    # The direction that counts is the last one, and stands where nobody looks before negotiation.
    hiding = f"{head}a=inactive{tail}" + "i=x\r\n" * 4_200 + "a=sendonly\r\n"
    with pytest.raises(Refused) as refusal:
        await ada.publish(hiding)
    assert refusal.value.code is Code.INVALID_SDP
    kept = first if is_new else []
    assert [track.track for track in ada.info().tracks] == kept
    assert [track.track for track in (await ada.room.stats()).tracks] == kept
    assert [event.track for event in house.events(bob, TrackUnpublished)] == ([] if is_new else first)
    assert (house.member(ada).publish_peer is not None) == is_new


@pytest.mark.parametrize("offer", ["", "v=0", "x" * 65_536, "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"])
async def test_an_offer_that_is_none_is_refused_as_such(house: Rig, offer: str) -> None:
    ada = await house.join("ada")
    with pytest.raises(Refused) as refusal:
        await ada.publish(offer)
    assert refusal.value.code is Code.INVALID_SDP
    await house.publish(ada)


async def test_an_offer_over_the_limit_is_too_large(house: Rig) -> None:
    ada = await house.join("ada")
    with pytest.raises(Refused) as refusal:
        await ada.publish("x" * 65_537)
    assert refusal.value.code is Code.TOO_LARGE


async def test_more_tracks_than_the_room_allows_are_refused() -> None:
    async with rig(settings=RoomSettings(max_tracks=1)) as house:
        ada = await house.join("ada")
        with pytest.raises(Refused) as refusal:
            await house.publish(ada)
        assert refusal.value.code is Code.TOO_LARGE


async def test_muting_stops_the_track_at_the_server_and_tells_the_others(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    mic, _ = await house.publish(ada)
    house.drain(bob)
    await ada.set_muted(mic, is_muted=True)
    assert house.events(bob, TrackMuted) == [TrackMuted(ada.id, mic, True, False)]
    assert not house.is_enabled(mic)
    await ada.set_muted(mic, is_muted=False)
    assert house.is_enabled(mic)
    with pytest.raises(Refused):
        await bob.set_muted(mic, is_muted=True)


async def test_a_publisher_that_fails_is_unpublished_and_may_start_anew(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    tracks = await house.publish(ada)
    house.drain(bob)
    peer = house.member(ada).publish_peer
    assert peer is not None
    house.service._plane_events.take(ada.room, PeerFailed(peer, "consent_lost"))
    assert [event.track for event in house.events(bob, TrackUnpublished)] == list(tracks)
    assert house.member(ada).publish_peer is None
    await house.publish(ada)


async def test_silent_media_suspends_the_grants_until_it_comes_back(house: Rig) -> None:
    ada = await house.join("ada")
    await house.publish(ada)
    consumer = await house.record()
    await house.acknowledge(ada)
    peer = house.member(ada).publish_peer
    assert peer is not None
    house.service._plane_events.take(ada.room, PeerIdle(peer))
    assert not house.gate(consumer.activity, ada)
    assert ada.info().state is State.ACTIVE
    house.service._plane_events.take(ada.room, PeerActive(peer))
    await until(lambda: house.gate(consumer.activity, ada), "reopening")


async def test_a_new_connection_after_silence_is_granted_again(house: Rig) -> None:
    ada = await house.join("ada")
    await house.publish(ada)
    consumer = await house.record()
    await house.acknowledge(ada)
    peer = house.member(ada).publish_peer
    assert peer is not None
    house.service._plane_events.take(ada.room, PeerIdle(peer))
    await house.publish(ada)
    await until(lambda: house.gate(consumer.activity, ada), "reopening")


async def test_the_codec_of_a_track_is_known_once_it_sends(house: Rig) -> None:
    ada = await house.join("ada")
    _, camera = await house.publish(ada)
    house.service._plane_events.take(ada.room, TrackCodec(camera, "vp8"))
    assert [track.codec for track in ada.info().tracks] == [None, "vp8"]


async def test_a_subscriber_that_failed_is_made_anew_when_asked(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    await house.publish(ada)
    await until(lambda: house.member(bob).subscriber is not None, "subscriber")
    sub = house.member(bob).subscriber
    assert sub is not None
    house.service._plane_events.take(ada.room, PeerFailed(sub, "consent_lost"))
    assert house.member(bob).subscriber is None
    house.drain(bob)
    await bob.restart_subscriber()
    await until(lambda: house.events(bob, SubscribeOfferReady), "offer")
    offer = await bob.next_offer()
    assert offer is not None
    assert offer.is_fresh


async def test_a_track_shown_on_another_source_is_told(house: Rig) -> None:
    ada = await house.join("ada")
    _, camera = await house.publish(ada)
    await ada.set_source(camera, Source.SCREEN)
    assert [track.source for track in ada.info().tracks] == [Source.MIC, Source.SCREEN]


async def test_the_rooms_number_of_voices_reaches_its_media(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    set_loudest = Router.set_loudest

    async def listen(router: Router, count: int) -> None:
        told.append(count)
        await set_loudest(router, count)

    monkeypatch.setattr(Router, "set_loudest", listen)
    async with rig(settings=RoomSettings(loudest=4)) as house:
        await house.join("ada")
        await house.service.update_room("demo", RoomSettings(loudest=0))
    assert told == [4, 0]
