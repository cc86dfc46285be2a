"""Publishing by the plane, over the model and over the native core."""

import re
from contextlib import suppress

import pytest

from sfu import (
    NegotiationError,
    OfferNeeded,
    PeerConnected,
    PeerFailed,
    SdpError,
    TrackAdded,
    TrackCodec,
    TrackRemoved,
    UnknownPeer,
    UnknownTrack,
)
from tests.sfu.client import ConnectFailed
from tests.sfu.room import Room, audio, ids, speak
from tests.sfu.wires import until


async def test_a_publisher_connects_and_its_tracks_are_announced(room: Room) -> None:
    _, answer = await room.publisher()
    added = room.of(TrackAdded)
    assert [(event.track, event.kind, event.mid, event.owner) for event in added] == [
        (track.track, track.kind, track.mid, "p_alice") for track in answer.tracks
    ]
    assert [track.kind for track in answer.tracks] == ["audio", "video"]
    assert room.seen.index(room.of(PeerConnected)[0]) < room.seen.index(added[0])


async def test_the_codec_that_is_really_sent_is_told(room: Room) -> None:
    client, answer = await room.publisher()
    client.send(audio(1))
    assert (await room.event(TrackCodec)) == TrackCodec(ids(answer)["audio"], "opus")


async def test_a_renegotiation_keeps_the_ids_of_what_stays(room: Room) -> None:
    client, first = await room.publisher()
    offer = client.offer("chromium-offer-sendonly-av")
    audio_only = re.sub(r"(a=mid:1\r\n.*?)a=sendonly", r"\1a=inactive", offer, flags=re.DOTALL)
    second = await room.router.publish("p_alice", audio_only, peer=first.peer)
    assert [track.track for track in second.tracks] == [ids(first)["audio"]]
    assert (await room.event(TrackRemoved)).track == ids(first)["video"]
    third = await room.router.publish("p_alice", offer, peer=first.peer)
    assert ids(third)["audio"] == ids(first)["audio"]
    assert ids(third)["video"] != ids(first)["video"]
    await room.event(TrackAdded, lambda event: event.track == ids(third)["video"])


async def test_another_owner_cannot_renegotiate_a_peer(room: Room) -> None:
    client, answer = await room.publisher()
    with pytest.raises(UnknownPeer):
        await room.router.publish("p_mallory", client.offer("chromium-offer-sendonly-av"), peer=answer.peer)


@pytest.mark.parametrize(
    "offer", ["", "junk", "v=0\r\n", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"]
)
async def test_an_offer_that_makes_no_sense_leaves_nothing_behind(room: Room, offer: str) -> None:
    with pytest.raises((SdpError, NegotiationError)):
        await room.router.publish("p_alice", offer)
    stats = await room.plane.stats()
    assert (stats.plane["peers"], stats.plane["tracks"]) == (0, 0)


async def test_a_peer_that_never_connects_fails_alone(impatient_room: Room) -> None:
    room = impatient_room
    client, answer = await room.publisher()
    silent = await room.router.publish("p_eve", room.client().offer("chromium-offer-sendonly-av"))
    failed = await room.event(PeerFailed)
    assert failed == PeerFailed(silent.peer, "join_timeout")
    listener, _ = await room.subscriber(ids(answer)["audio"])
    assert len(await speak(client, listener, 1)) == 5
    assert not [event for event in room.of(TrackAdded) if event.owner == "p_eve"]


async def test_a_wrong_fingerprint_fails_and_no_track_appears(room: Room) -> None:
    client = room.client()
    offer = client.offer("chromium-offer-sendonly-av")
    wrong = re.sub(r"a=fingerprint:sha-256 ..", "a=fingerprint:sha-256 00", offer)
    if wrong == offer:
        wrong = re.sub(r"a=fingerprint:sha-256 ..", "a=fingerprint:sha-256 11", offer)
    answer = await room.router.publish("p_alice", wrong)
    with suppress(ConnectFailed):
        await client.connect(answer.sdp)
    assert (await room.event(PeerFailed)).reason.startswith("fingerprint_mismatch")
    assert not room.of(TrackAdded)


async def test_a_peer_that_says_goodbye_is_gone_at_once(room: Room) -> None:
    client, answer = await room.publisher()
    client.close()
    assert (await room.event(PeerFailed)) == PeerFailed(answer.peer, "closed_by_peer")
    assert {event.track for event in room.of(TrackRemoved)} == set(ids(answer).values())


async def test_a_removed_peer_takes_its_tracks_along(room: Room) -> None:
    client, answer = await room.publisher()
    _, sub = await room.subscriber(ids(answer)["audio"])
    await room.router.remove_peer(answer.peer)
    await room.router.remove_peer(answer.peer)
    await until(lambda: len(room.of(TrackRemoved)) == 2, "both tracks removed")
    await room.event(OfferNeeded, lambda event: event.sub == sub)
    assert not room.of(PeerFailed)
    await client.pump(0.1)
    assert client.is_closed_by_server
    with pytest.raises(UnknownTrack):
        await room.router.subscribe(sub, ids(answer)["audio"])


async def test_a_subscriber_restarts_ice_by_a_new_offer(room: Room) -> None:
    client, answer = await room.publisher()
    listener, sub = await room.subscriber(ids(answer)["audio"])
    offer = await room.router.offer(sub, restart=True)
    assert offer is not None
    listener.sessions, sessions = None, listener.sessions
    again = room.client()
    again.ufrag, again.pwd = "restartedufrag", "p" * 24
    await room.router.answer(sub, offer.version, again.answer(offer.sdp))
    listener.sessions = sessions
    assert len(await speak(client, listener, 1)) == 5


def credentials_of(text: str) -> tuple[str, str]:
    """The ICE credentials that a description or fragment gives first."""
    ufrag, pwd = (re.search(rf"a=ice-{name}:(\S+)", text) for name in ("ufrag", "pwd"))
    assert ufrag is not None
    assert pwd is not None
    return ufrag[1], pwd[1]


async def test_after_a_restart_media_goes_on_from_elsewhere_without_a_handshake(room: Room) -> None:
    """The publisher by WHIP's fragment, the subscriber by an offer; both from another address."""
    client, answer = await room.publisher()
    listener, sub = await room.subscriber(ids(answer)["audio"])
    client.ufrag, client.pwd = "movedufrag", "p" * 24
    reply = await room.router.restart(
        answer.peer, f"a=ice-ufrag:{client.ufrag}\r\na=ice-pwd:{client.pwd}\r\n"
    )
    await client.move(room.wire(), credentials_of(reply))
    offer = await room.router.offer(sub, restart=True)
    assert offer is not None
    listener.ufrag, listener.pwd = "othermovedufrag", "q" * 24
    await room.router.answer(sub, offer.version, listener.answer(offer.sdp))
    await listener.move(room.wire(), credentials_of(offer.sdp))
    assert len(await speak(client, listener, 1)) == 5
    assert len(room.of(PeerConnected)) == 2
    assert not room.of(PeerFailed)


async def test_a_publisher_restarts_ice_by_fragment(room: Room) -> None:
    client, answer = await room.publisher()
    reply = await room.router.restart(
        answer.peer, "a=ice-ufrag:newufrag\r\na=ice-pwd:newpasswordnewpassword1\r\n"
    )
    fresh = re.search(r"a=ice-ufrag:(\S+)", reply)
    old = re.search(r"a=ice-ufrag:(\S+)", answer.sdp)
    assert fresh is not None
    assert old is not None
    assert fresh[1] != old[1]
    await room.router.trickle(answer.peer, "a=ice-ufrag:newufrag\r\na=ice-pwd:newpasswordnewpassword1\r\n")
    with pytest.raises(NegotiationError):
        await room.router.trickle(answer.peer, f"a=ice-ufrag:{client.ufrag}\r\na=ice-pwd:{client.pwd}\r\n")
    with pytest.raises(SdpError):
        await room.router.trickle(answer.peer, "junk")
