"""Subscribing by the plane, over the model and over the native core."""

import asyncio
import re

import pytest

from sfu import (
    NegotiationError,
    PeerConnected,
    PeerFailed,
    SdpError,
    SubscriberId,
    TrackCodec,
    UnknownTrack,
)
from sfu.engine import events
from sfu.engine.fake import FakeEngine
from tests.sfu.room import (
    Room,
    delta,
    ids,
    speak,
    unheard,
    video,
)


async def test_media_reaches_a_subscriber(room: Room) -> None:
    client, answer = await room.publisher()
    listener, _ = await room.subscriber(*ids(answer).values())
    packets = await speak(client, listener, 65_533)
    assert len(packets) == 5
    assert len({packet.ssrc for packet in packets}) == 1
    client.send(video(1))
    await listener.pump(0.15)
    assert [packet for packet in listener.received if packet.pt != 111]


@pytest.mark.parametrize("room", ["fake"], indirect=True)
async def test_sound_is_budgeted_with_its_copies_where_they_are_taken(room: Room) -> None:
    _, answer = await room.publisher()
    wanted = {}
    for takes_copies in (True, False):
        client = room.client()
        sub = await room.router.subscriber("p_bob")
        await room.router.subscribe(sub, ids(answer)["audio"])
        offer = await room.router.offer(sub)
        assert offer is not None
        sdp = client.answer(offer.sdp)
        if not takes_copies:
            sdp = re.sub(r"a=(rtpmap|fmtp):63 .*\r\n", "", sdp).replace(" 63 111", " 111")
        await room.router.answer(sub, offer.version, sdp)
        stats = await room.router.stats()
        wanted[takes_copies] = next(row.counters["wanted_bps"] for row in stats.peers if row.peer == sub)
    assert wanted[True] > 1.5 * wanted[False] > 0


@pytest.mark.parametrize("room", ["fake"], indirect=True)
async def test_sound_is_budgeted_with_what_it_takes(room: Room) -> None:
    engine = room.plane.engine
    assert isinstance(engine, FakeEngine)
    _, answer = await room.publisher()
    sound = ids(answer)["audio"]

    async def wanted(sub: SubscriberId) -> int:
        stats = await room.router.stats()
        return next(row.counters["wanted_bps"] for row in stats.peers if row.peer == sub)

    _, early = await room.subscriber(sound)
    usual = await wanted(early)
    engine.emit(events.Layers(sound, ((0, 0, 0, 80_000, 0), (0, 0, 1, 140_000, 0))))
    assert await wanted(early) > 1.5 * usual
    _, late = await room.subscriber(sound)
    assert await wanted(late) == await wanted(early)


async def test_a_new_subscriber_gets_a_keyframe_requested(room: Room) -> None:
    client, answer = await room.publisher()
    client.send(delta(1))
    await room.event(TrackCodec)
    await client.pump(0.1)
    client.rtcp.clear()
    await room.subscriber(ids(answer)["video"])
    asked = []
    for _ in range(20):
        await client.pump(0.1)
        asked = [p for p in client.rtcp if b"\x81\xce" in p or b"\x84\xce" in p]
        if asked:
            break
    assert asked


async def test_one_offer_is_outstanding_at_a_time_and_changes_are_coalesced(room: Room) -> None:
    _, first = await room.publisher("p_alice")
    _, second = await room.publisher("p_carol")
    client = room.client()
    sub = await room.router.subscriber("p_bob")
    assert await room.router.offer(sub) is None
    await room.router.subscribe(sub, ids(first)["audio"])
    await room.router.subscribe(sub, ids(first)["audio"])
    offer = await room.router.offer(sub)
    assert offer is not None
    assert [track for _, track in offer.tracks] == [ids(first)["audio"]]
    await room.router.subscribe(sub, ids(first)["video"])
    await room.router.subscribe(sub, ids(second)["audio"])
    assert await room.router.offer(sub) is None
    with pytest.raises(NegotiationError):
        await room.router.answer(sub, offer.version + 1, client.answer(offer.sdp))
    with pytest.raises(SdpError):
        await room.router.answer(sub, offer.version, "junk")
    await room.router.answer(sub, offer.version, client.answer(offer.sdp))
    following = await room.router.offer(sub)
    assert following is not None
    assert following.version > offer.version
    assert len(following.tracks) == 3
    await room.router.answer(sub, following.version, client.answer(following.sdp))
    await client.connect(offer.sdp)
    await room.event(PeerConnected, lambda event: event.peer == sub)


async def test_a_subscriber_that_never_answers_fails_and_blocks_nobody(impatient_room: Room) -> None:
    room = impatient_room
    client, answer = await room.publisher()
    mute = await room.router.subscriber("p_mute")
    await room.router.subscribe(mute, ids(answer)["audio"])
    assert await room.router.offer(mute) is not None
    listener, _ = await room.subscriber(ids(answer)["audio"])
    assert len(await speak(client, listener, 1)) == 5
    assert (await room.event(PeerFailed)) == PeerFailed(mute, "answer_timeout")
    assert len(await speak(client, listener, 10)) == 5


async def test_a_subscriber_without_anything_to_hear_waits_without_failing(impatient_room: Room) -> None:
    room = impatient_room
    sub = await room.router.subscriber("p_bob")
    silent = await room.router.publish("p_eve", room.client().offer("chromium-offer-sendonly-av"))
    assert (await room.event(PeerFailed)) == PeerFailed(silent.peer, "join_timeout")
    await asyncio.sleep(0.1)
    assert len(room.of(PeerFailed)) == 1
    await room.router.remove_peer(sub)


async def test_an_unsubscribed_track_stops_at_once_and_may_come_back(room: Room) -> None:
    client, answer = await room.publisher()
    track = ids(answer)["audio"]
    listener, sub = await room.subscriber(*ids(answer).values())
    before = await speak(client, listener, 1)
    await room.router.unsubscribe(sub, track)
    await room.router.unsubscribe(sub, track)
    assert await unheard(client, listener, 10) == []
    await room.settle(listener, sub)
    await room.router.subscribe(sub, track)
    offer = await room.settle(listener, sub)
    after = await speak(client, listener, 20)
    assert len(before) == len(after) == 5
    assert offer.sdp.count("m=audio") == 1, "the m-section is used again"
    assert f"a=ssrc:{after[0].ssrc} " in offer.sdp
    assert after[0].ssrc != before[0].ssrc, "one ssrc never serves two forwards (SRTP nonces)"


async def test_a_muted_track_is_silent_for_everyone(room: Room) -> None:
    client, answer = await room.publisher()
    listener, _ = await room.subscriber(ids(answer)["audio"])
    assert await speak(client, listener, 1)
    await room.router.set_enabled(ids(answer)["audio"], False)
    assert await unheard(client, listener, 10) == []
    await room.router.set_enabled(ids(answer)["audio"], True)
    assert await speak(client, listener, 20)


async def test_a_paused_subscription_is_silent(room: Room) -> None:
    client, answer = await room.publisher()
    track = ids(answer)["audio"]
    listener, sub = await room.subscriber(track)
    await room.router.set_layer(sub, track, paused=True)
    assert await unheard(client, listener, 1) == []
    await room.router.set_layer(sub, track)
    assert await speak(client, listener, 10)
    with pytest.raises(UnknownTrack):
        await room.router.set_layer(sub, ids(answer)["video"])


async def test_a_gated_subscription_follows_its_gate(room: Room) -> None:
    client, answer = await room.publisher()
    track = ids(answer)["audio"]
    slot = room.plane.allocator.allocate()
    gate = room.plane.allocator.next_version(slot)
    listener, sub = await room.subscriber(track, gate=gate)
    assert await unheard(client, listener, 1) == []
    room.router.open_gate(gate)
    assert await speak(client, listener, 10)
    room.router.close_gate(slot, room.plane.allocator.next_version(slot).version)
    await room.router.fence()
    assert await unheard(client, listener, 20) == []
    reopened = room.plane.allocator.next_version(slot)
    await room.router.set_gate(sub, track, reopened)
    room.router.open_gate(reopened)
    assert await speak(client, listener, 30)
