"""Limits and faults of the plane, over the model and over the native core."""

import asyncio
import re

import pytest

from sfu import (
    CodecPolicy,
    CodecUnsupported,
    EngineError,
    MediaConfig,
    MediaPlane,
    PeerConnected,
    PeerFailed,
    QueueFull,
    RouterClosed,
    TooManyPeers,
)
from sfu.engine.fake import FakeEngine
from tests.sfu.room import (
    CONFIG,
    Room,
    ids,
    speak,
    video,
)


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
        if self.world.tracks:
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
