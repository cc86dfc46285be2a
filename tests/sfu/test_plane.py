"""The media plane as rooms use it, over the model and over the native core."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import pytest

from media.gates import Gate
from media.tap_record import RtpRecord, read_records
from sfu import (
    ActiveSpeaker,
    CodecPolicy,
    CodecUnsupported,
    EndToEndEncrypted,
    EngineError,
    Levels,
    MediaConfig,
    MediaPlane,
    NegotiationError,
    OfferNeeded,
    PeerConnected,
    PeerFailed,
    PlaneEvent,
    PublishAnswer,
    QueueFull,
    Router,
    RouterClosed,
    SdpError,
    SinkClosed,
    SubscribeOffer,
    SubscriberId,
    TooManyPeers,
    TrackAdded,
    TrackCodec,
    TrackId,
    TrackRemoved,
    UnknownPeer,
    UnknownTrack,
)
from sfu.engine.fake import FakeEngine
from sfu.engine.fake_rtp import FakeRtp
from tests.sfu.client import ConnectFailed, MediaClient
from tests.sfu.wires import FakeWire, TcpWire, UdpWire, Wire, until

E = TypeVar("E", bound=PlaneEvent)
AUDIO_MID, VIDEO_MID = "0", "1"
AUDIO_SSRC, VIDEO_SSRC = 3_970_034_345, 2_637_134_066
CONFIG = MediaConfig(
    addresses=("127.0.0.1",),
    port=0,
    gate_slots=64,
    join_timeout_s=1.5,
    answer_timeout_s=1.0,
    command_timeout_s=2.0,
)


class Room:
    """A router with its events collected, and clients."""

    def __init__(self, plane: MediaPlane, router: Router) -> None:
        self.plane = plane
        self.router = router
        self.by_tcp = False
        self.seen: list[PlaneEvent] = []
        self._clients: list[MediaClient] = []
        self._reader: asyncio.Task[None] | None = None

    async def read(self) -> None:
        async for event in self.router.events:
            self.seen.append(event)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.seen if isinstance(event, kind)]

    async def event(self, kind: type[E], accept: Callable[[E], bool] = lambda _: True) -> E:
        await until(lambda: any(accept(event) for event in self.of(kind)), kind.__name__)
        return next(event for event in self.of(kind) if accept(event))

    def wire(self) -> Wire:
        engine = self.plane.engine
        if isinstance(engine, FakeEngine):
            return FakeWire(engine)
        return TcpWire(engine) if self.by_tcp else UdpWire(engine)

    def client(self) -> MediaClient:
        client = MediaClient(self.wire(), seed=len(self._clients) + 1)
        self._clients.append(client)
        return client

    async def publisher(self, owner: str = "p_alice") -> tuple[MediaClient, PublishAnswer]:
        """A connected publisher of one audio and one video track."""
        client = self.client()
        answer = await self.router.publish(owner, client.offer("chromium-offer-sendonly-av"))
        await client.connect(answer.sdp)
        await self.event(PeerConnected, lambda event: event.peer == answer.peer)
        return client, answer

    async def subscriber(
        self, *tracks: TrackId, gate: Gate | None = None
    ) -> tuple[MediaClient, SubscriberId]:
        """A connected subscriber of some tracks."""
        client = self.client()
        sub = await self.router.subscriber("p_bob")
        for track in tracks:
            await self.router.subscribe(sub, track, gate=gate)
        await self.settle(client, sub)
        return client, sub

    async def settle(self, client: MediaClient, sub: SubscriberId) -> SubscribeOffer:
        """Answer what is offered, and connect if it is the first; the offer."""
        offer = await self.router.offer(sub)
        assert offer is not None
        if client.sessions is None:
            joining = asyncio.get_running_loop().create_task(client.connect(offer.sdp))
            await self.router.answer(sub, offer.version, client.answer(offer.sdp))
            await joining
            await self.event(PeerConnected, lambda event: event.peer == sub)
        else:
            await self.router.answer(sub, offer.version, client.answer(offer.sdp))
        return offer

    async def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture(params=["fake", "native", "spread", "tcp"])
async def room(request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    """A room on the model, on one worker, on two that its peers take turns on, and there with TCP alone."""
    config = CONFIG
    if request.param in {"spread", "tcp"}:
        config = replace(CONFIG, workers=2, spread=0, tcp_port=0)
    plane = await MediaPlane.start(config, engine=FakeEngine if request.param == "fake" else None)
    made = Room(plane, plane.router("r", CodecPolicy()))
    made.by_tcp = request.param == "tcp"
    async with asyncio.TaskGroup() as group:
        group.create_task(made.read())
        yield made
        await made.close()
        await plane.close()


def audio(seq: int, mid: str = AUDIO_MID, level: int = 20) -> FakeRtp:
    """Opus as the captured offer numbers it: mid is extension 4, level 1."""
    extensions = {4: mid.encode(), 1: bytes([0x80 | level])}
    return FakeRtp(111, seq & 0xFFFF, 960 * seq, AUDIO_SSRC, b"\xfc" + bytes(20), False, extensions)


def video(seq: int, ssrc: int = VIDEO_SSRC) -> FakeRtp:
    """A VP8 keyframe as the captured offer numbers it."""
    payload = b"\x10\x10\x02\x00\x9d\x01\x2a\x10\x00\x10\x00" + bytes(40)
    return FakeRtp(96, seq & 0xFFFF, 3000 * seq, ssrc, payload, True, {4: VIDEO_MID.encode()})


def ids(answer: PublishAnswer) -> dict[str, TrackId]:
    return {track.kind: track.track for track in answer.tracks}


async def speak(sender: MediaClient, receiver: MediaClient, first: int, count: int = 5) -> list[FakeRtp]:
    """Send audio, and what arrives of it."""
    receiver.received.clear()
    for seq in range(first, first + count):
        sender.send(audio(seq))
        await asyncio.sleep(0)
    await receiver.pump(0.15)
    return [packet for packet in receiver.received if packet.pt == 111]


# publishing


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


async def test_a_peer_that_never_connects_fails_alone(room: Room) -> None:
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
        await client.connect(answer.sdp, 1.0)
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


# subscribing


async def test_media_reaches_a_subscriber(room: Room) -> None:
    client, answer = await room.publisher()
    listener, _ = await room.subscriber(*ids(answer).values())
    packets = await speak(client, listener, 65_533)
    assert len(packets) == 5
    assert len({packet.ssrc for packet in packets}) == 1
    client.send(video(1))
    await listener.pump(0.15)
    assert [packet for packet in listener.received if packet.pt != 111]


async def test_a_new_subscriber_gets_a_keyframe_requested(room: Room) -> None:
    client, answer = await room.publisher()
    client.send(video(1))
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


async def test_a_subscriber_that_never_answers_fails_and_blocks_nobody(room: Room) -> None:
    client, answer = await room.publisher()
    mute = await room.router.subscriber("p_mute")
    await room.router.subscribe(mute, ids(answer)["audio"])
    assert await room.router.offer(mute) is not None
    listener, _ = await room.subscriber(ids(answer)["audio"])
    assert len(await speak(client, listener, 1)) == 5
    assert (await room.event(PeerFailed)) == PeerFailed(mute, "answer_timeout")
    assert len(await speak(client, listener, 10)) == 5


async def test_a_subscriber_without_anything_to_hear_waits_without_failing(room: Room) -> None:
    sub = await room.router.subscriber("p_bob")
    await asyncio.sleep(CONFIG.join_timeout_s + 0.2)
    assert not room.of(PeerFailed)
    await room.router.remove_peer(sub)


async def test_an_unsubscribed_track_stops_at_once_and_may_come_back(room: Room) -> None:
    client, answer = await room.publisher()
    track = ids(answer)["audio"]
    listener, sub = await room.subscriber(*ids(answer).values())
    before = await speak(client, listener, 1)
    await room.router.unsubscribe(sub, track)
    await room.router.unsubscribe(sub, track)
    assert await speak(client, listener, 10) == []
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
    assert await speak(client, listener, 10) == []
    await room.router.set_enabled(ids(answer)["audio"], True)
    assert await speak(client, listener, 20)


async def test_a_paused_subscription_is_silent(room: Room) -> None:
    client, answer = await room.publisher()
    track = ids(answer)["audio"]
    listener, sub = await room.subscriber(track)
    await room.router.set_layer(sub, track, paused=True)
    assert await speak(client, listener, 1) == []
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
    assert await speak(client, listener, 1) == []
    room.router.open_gate(gate)
    assert await speak(client, listener, 10)
    room.router.close_gate(slot, room.plane.allocator.next_version(slot).version)
    await room.router.fence()
    assert await speak(client, listener, 20) == []
    reopened = room.plane.allocator.next_version(slot)
    await room.router.set_gate(sub, track, reopened)
    room.router.open_gate(reopened)
    assert await speak(client, listener, 30)


# ICE restart and trickle


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


# viewing


async def test_a_viewer_sees_and_is_switched_without_renegotiation(room: Room) -> None:
    alice, first = await room.publisher("p_alice")
    carol, second = await room.publisher("p_carol")
    viewer = room.client()
    answer = await room.router.whep(
        "v_1", viewer.offer("chromium-offer-recvonly-av"), list(ids(first).values()), gates={}
    )
    assert {track for _, track in answer.tracks} == set(ids(first).values())
    await viewer.connect(answer.sdp)
    before = await speak(alice, viewer, 1)
    mid = next(mid for mid, track in answer.tracks if track == ids(first)["audio"])
    await room.router.set_source(answer.peer, mid, ids(second)["audio"])
    after = await speak(carol, viewer, 500)
    assert await speak(alice, viewer, 10) == []
    assert {packet.ssrc for packet in before} == {packet.ssrc for packet in after}
    assert after[0].seq == (before[-1].seq + 1) & 0xFFFF
    with pytest.raises(NegotiationError):
        await room.router.set_source(answer.peer, mid, ids(second)["video"])
    with pytest.raises(UnknownPeer):
        await room.router.set_source(answer.peer, "nowhere", ids(second)["audio"])


async def test_a_viewer_outlives_its_source(room: Room) -> None:
    alice, first = await room.publisher("p_alice")
    viewer = room.client()
    answer = await room.router.whep(
        "v_1", viewer.offer("chromium-offer-recvonly-av"), [ids(first)["audio"]], gates={}
    )
    await viewer.connect(answer.sdp)
    before = await speak(alice, viewer, 1)
    await room.router.remove_peer(first.peer)
    carol, second = await room.publisher("p_carol")
    mid = next(mid for mid, track in answer.tracks if track == ids(first)["audio"])
    await room.router.set_source(answer.peer, mid, ids(second)["audio"])
    after = await speak(carol, viewer, 9_000)
    assert after[0].seq == (before[-1].seq + 1) & 0xFFFF


async def test_an_external_viewer_sees_nothing_once_the_gate_is_closed(room: Room) -> None:
    alice, first = await room.publisher()
    slot = room.plane.allocator.allocate()
    gate = room.plane.allocator.next_version(slot)
    room.router.open_gate(gate)
    viewer = room.client()
    answer = await room.router.whep(
        "v_1",
        viewer.offer("chromium-offer-recvonly-av"),
        [ids(first)["audio"]],
        gates={ids(first)["audio"]: gate},
    )
    await viewer.connect(answer.sdp)
    assert await speak(alice, viewer, 1)
    room.router.close_gate(slot, gate.version + 1)
    await room.router.fence()
    assert await speak(alice, viewer, 10) == []


# taps


async def test_a_tap_reads_a_track_while_its_gate_holds(room: Room) -> None:
    client, answer = await room.publisher()
    sink = await room.router.sink()
    far = socket.socket(fileno=sink.duplicate())
    sink.detach()
    far.setblocking(False)
    slot = room.plane.allocator.allocate()
    gate = room.plane.allocator.next_version(slot)
    tap = await room.router.add_tap(sink, ids(answer)["audio"], gate)
    room.router.open_gate(gate)
    for seq in range(5):
        client.send(audio(seq))
    found: list[RtpRecord] = []

    def read() -> bool:
        with suppress(BlockingIOError):
            while True:
                found.extend(r for r in read_records(far.recv(65_536)) if isinstance(r, RtpRecord))
        return len(found) >= 5

    await until(read, "five records")
    assert {(record.header.tap, record.header.gate_version) for record in found} == {(tap, gate.version)}
    await room.router.remove_tap(tap)
    await room.router.remove_tap(tap)
    far.close()
    second = await room.router.sink()
    await room.router.add_tap(second, ids(answer)["audio"], gate)
    second.detach()
    for seq in range(5, 10):
        client.send(audio(seq))
    assert (await room.event(SinkClosed, lambda event: event.sink == second.id)).sink == second.id
    await second.close()
    await sink.close()


async def test_what_is_encrypted_end_to_end_stays_in_the_room(room: Room) -> None:
    client = room.client()
    offer = client.offer("chromium-offer-sendonly-av")
    answer = await room.router.publish("p_alice", offer, e2ee=True)
    await client.connect(answer.sdp)
    await room.event(PeerConnected, lambda event: event.peer == answer.peer)
    track, gate = ids(answer)["audio"], Gate(1, 1)
    sink = await room.router.sink()
    listener, sub = await room.subscriber(track)
    viewer = room.client().offer("chromium-offer-recvonly-av")
    for refused in (
        room.router.add_tap(sink, track, gate),
        room.router.set_gate(sub, track, gate),
        room.router.subscribe(sub, ids(answer)["video"], gate=gate),
        room.router.whep("v_1", viewer, [track], gates={track: gate}),
    ):
        with pytest.raises(EndToEndEncrypted) as told:
            await refused
        assert told.value.code == "e2ee"
    assert await speak(client, listener, 1)
    await sink.close()


async def test_a_tap_needs_a_track_of_the_room(room: Room) -> None:
    sink = await room.router.sink()
    with pytest.raises(UnknownTrack):
        await room.router.add_tap(sink, TrackId(999), Gate(1, 1))
    await sink.close()
    await sink.close()


# speakers


async def test_the_loudest_voice_becomes_the_active_speaker(room: Room) -> None:
    client, answer = await room.publisher()
    for seq in range(80):
        client.send(audio(seq))
        await asyncio.sleep(0.01)
    levels = await room.event(Levels, lambda event: bool(event.levels))
    assert levels.levels == ((ids(answer)["audio"], -20, True),)
    assert (await room.event(ActiveSpeaker)).track == ids(answer)["audio"]


# limits and faults


async def test_a_stranger_cannot_disturb_a_session(room: Room) -> None:
    client, answer = await room.publisher()
    listener, _ = await room.subscriber(ids(answer)["audio"])
    stranger = room.wire()
    hello = b"\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x42" + bytes(0x42)
    for junk in (
        b"",
        b"\x16",
        hello,
        b"\x15\xfe\xfd" + bytes(20),
        b"\x80\x60" + bytes(160),
        b"\x00\x01" + bytes(18),
    ):
        for _ in range(50):
            stranger.send(junk)
    assert len(await speak(client, listener, 1)) == 5
    assert await stranger.receive(0.05) is None
    assert not room.of(PeerFailed)
    stranger.close()


async def test_a_strangers_hello_before_the_peers_does_not_stop_the_join(room: Room) -> None:
    stranger = room.wire()
    for _ in range(20):
        stranger.send(b"\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x42" + bytes(0x42))
    await room.publisher()
    stranger.close()


async def test_a_full_room_refuses_and_a_closed_one_too() -> None:
    plane = await MediaPlane.start(MediaConfig(port=0, gate_slots=8, max_peers_per_room=1), engine=FakeEngine)
    router = plane.router("r", CodecPolicy())
    await router.subscriber("p_bob")
    with pytest.raises(TooManyPeers):
        await router.subscriber("p_carol")
    await router.close()
    await router.close()
    with pytest.raises(RouterClosed):
        await router.subscriber("p_bob")
    assert [event async for event in router.events] == []
    await plane.close()
    await plane.close()
    with pytest.raises(RouterClosed):
        plane.router("r", CodecPolicy())


class RefusingEngine(FakeEngine):
    """Refuses every track."""

    def add_track(self, *_: object, **__: object):  # type: ignore[override]
        return self._command("no more tracks")


class BusyEngine(FakeEngine):
    """Takes one track, then finds its queue full."""

    def add_track(self, *arguments: object, **keywords: object):  # type: ignore[override]
        if self._tracks:
            raise QueueFull("busy")
        return super().add_track(*arguments, **keywords)  # type: ignore[arg-type]


class DeafEngine(FakeEngine):
    """Never acknowledges a track."""

    def _settle(self, ack, error):  # type: ignore[override]
        if self.is_deaf:
            return
        super()._settle(ack, error)

    is_deaf = False


@pytest.mark.parametrize("engine", [RefusingEngine, BusyEngine])
async def test_a_refused_command_fails_its_peer_only(engine: type[FakeEngine]) -> None:
    plane = await MediaPlane.start(CONFIG, engine=engine)
    room = Room(plane, plane.router("r", CodecPolicy()))
    sub = await room.router.subscriber("p_bob")
    with pytest.raises(EngineError):
        await room.router.publish("p_alice", room.client().offer("chromium-offer-sendonly-av"))
    stats = await plane.stats()
    assert (stats.plane["peers"], stats.plane["tracks"]) == (1, 0)
    assert await room.router.offer(sub) is None
    await room.close()
    await plane.close()


async def test_an_engine_that_does_not_answer_is_given_up_in_time() -> None:
    plane = await MediaPlane.start(
        MediaConfig(port=0, gate_slots=8, command_timeout_s=0.1), engine=DeafEngine
    )
    engine = plane.engine
    assert isinstance(engine, DeafEngine)
    router = plane.router("r", CodecPolicy())
    engine.is_deaf = True
    async with asyncio.timeout(2):
        with pytest.raises(EngineError):
            await router.subscriber("p_bob")
    assert (await asyncio.wait_for(router.events.get(), 1)).__class__ is PeerFailed
    await plane.close()


async def test_a_caller_that_gives_up_leaves_no_peer_behind() -> None:
    plane = await MediaPlane.start(MediaConfig(port=0, gate_slots=8), engine=DeafEngine)
    engine = plane.engine
    assert isinstance(engine, DeafEngine)
    router = plane.router("r", CodecPolicy())
    engine.is_deaf = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await router.subscriber("p_bob")
    engine.is_deaf = False
    assert (await plane.stats()).plane["peers"] == 0
    await plane.close()


async def test_a_subscriber_is_told_of_a_codec_that_it_cannot_decode(room: Room) -> None:
    client, answer = await room.publisher()
    listener = room.client()
    sub = await room.router.subscriber("p_bob")
    await room.router.subscribe(sub, ids(answer)["video"])
    offer = await room.router.offer(sub)
    assert offer is not None
    only_h264 = client_answer_with(listener.answer(offer.sdp), "H264")
    joining = asyncio.get_running_loop().create_task(listener.connect(offer.sdp))
    await room.router.answer(sub, offer.version, only_h264)
    await joining
    await room.event(PeerConnected, lambda event: event.peer == sub)
    client.send(video(1))
    assert await room.event(CodecUnsupported) == CodecUnsupported(sub, ids(answer)["video"], "vp8")


def client_answer_with(answer: str, codec: str) -> str:
    """An answer that keeps one video codec."""
    kept = re.findall(rf"a=rtpmap:(\d+) {codec}/90000", answer, flags=re.IGNORECASE)
    lines = []
    for line in answer.split("\r\n"):
        numbered = re.match(r"a=(?:rtpmap|fmtp|rtcp-fb):(\d+)", line)
        if numbered and numbered[1] not in kept:
            continue
        lines.append(f"m=video 9 UDP/TLS/RTP/SAVPF {kept[0]}" if line.startswith("m=video") else line)
    return "\r\n".join(lines)


# the plane's frame


async def test_stats_name_the_rooms_own_objects(room: Room) -> None:
    client, answer = await room.publisher()
    listener, sub = await room.subscriber(ids(answer)["audio"])
    assert await speak(client, listener, 1)
    elsewhere = room.plane.router("other", CodecPolicy())
    await elsewhere.subscriber("p_dora")
    stats = await room.router.stats()
    assert {row.peer for row in stats.peers} == {answer.peer, sub}
    assert {row.track for row in stats.tracks} == set(ids(answer).values())
    assert [(row.track, row.peer) for row in stats.forwards] == [(ids(answer)["audio"], sub)]
    assert stats.forwards[0].counters["packets"] == 5
    assert (await room.plane.stats()).plane["routers"] == 2


CAPTURES_THAT_SEND = [
    "chromium-offer-sendonly-av",
    "chromium-offer-simulcast-3rid",
    "chromium-offer-svc-L3T3_KEY",
    "firefox-offer-sendonly-av",
    "firefox-offer-simulcast-3rid",
    "firefox-offer-svc-L3T3_KEY",
]


@pytest.mark.parametrize("capture", CAPTURES_THAT_SEND)
async def test_every_browsers_offer_becomes_tracks(capture: str) -> None:
    plane = await MediaPlane.start(CONFIG, engine=FakeEngine)
    room = Room(plane, plane.router("r", CodecPolicy()))
    async with asyncio.TaskGroup() as group:
        group.create_task(room.read())
        client = room.client()
        answer = await room.router.publish("p_alice", client.offer(capture))
        await client.connect(answer.sdp)
        await room.event(TrackAdded)
        assert len(room.of(TrackAdded)) == len(answer.tracks) >= 1
        if "simulcast" in capture:
            assert len(answer.tracks[-1].simulcast) >= 2
        await room.close()
        await plane.close()


@pytest.mark.parametrize("capture", ["chromium-offer-recvonly-av", "firefox-offer-recvonly-av"])
async def test_every_browsers_viewing_offer_is_answered(capture: str) -> None:
    plane = await MediaPlane.start(CONFIG, engine=FakeEngine)
    room = Room(plane, plane.router("r", CodecPolicy()))
    viewer = room.client()
    answer = await room.router.whep("v_1", viewer.offer(capture), [], gates={})
    assert [track for _, track in answer.tracks] == [None, None]
    await viewer.connect(answer.sdp)
    await room.close()
    await plane.close()


async def test_rooms_are_spread_over_workers_and_both_address_families_work() -> None:
    config = MediaConfig(addresses=("127.0.0.1", "::1"), port=0, workers=2, gate_slots=64)
    plane = await MediaPlane.start(config)
    routers = [plane.router(name, CodecPolicy()) for name in ("one", "two")]
    assert {router.worker for router in routers} == {0, 1}
    clients = []
    for router in routers:
        for index, ip in enumerate(config.addresses):
            target = plane.engine.addresses(router.worker)[index]
            assert target[0] == ip
            client = MediaClient(UdpWire(plane.engine, router.worker, index), seed=len(clients))
            answer = await router.publish("p_alice", client.offer("chromium-offer-sendonly-av"))
            assert f"{ip} {target[1]} typ host" in answer.sdp
            await client.connect(answer.sdp)
            clients.append(client)
    for client in clients:
        client.close()
    await plane.close()


async def test_announced_addresses_stand_in_for_the_bound_ones() -> None:
    config = MediaConfig(addresses=("127.0.0.1",), announced=("203.0.113.9",), port=0, gate_slots=8)
    plane = await MediaPlane.start(config)
    router = plane.router("r", CodecPolicy())
    client = MediaClient(UdpWire(plane.engine))
    answer = await router.publish("p_alice", client.offer("chromium-offer-sendonly-av"))
    assert "203.0.113.9" in answer.sdp
    assert "127.0.0.1" not in answer.sdp
    client.close()
    await plane.close()


async def test_a_tcp_port_that_is_taken_leaves_udp_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        plane = await MediaPlane.start(MediaConfig(port=0, tcp_port=port, gate_slots=8))
        assert plane.engine.tcp_addresses() == []
        router = plane.router("r", CodecPolicy())
        client = MediaClient(UdpWire(plane.engine))
        answer = await router.publish("p_alice", client.offer("chromium-offer-sendonly-av"))
        assert " tcp " not in answer.sdp
        await client.connect(answer.sdp)
        client.close()
        await plane.close()


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises((EngineError, OSError)):
            await MediaPlane.start(MediaConfig(port=taken.getsockname()[1], gate_slots=8))
