"""A router under test with its events collected, clients, and the packets of the captured offers."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from media.gates import Gate
from sfu import (
    MediaConfig,
    MediaPlane,
    PeerConnected,
    PlaneEvent,
    PublishAnswer,
    Router,
    SubscribeOffer,
    SubscriberId,
    TrackId,
)
from sfu.engine.fake import FakeEngine
from sfu.engine.fake.rtp import FakeRtp
from tests.sfu.client import MediaClient
from tests.sfu.wires import FakeWire, TcpWire, UdpWire, Wire, until

E = TypeVar("E", bound=PlaneEvent)
AUDIO_MID, VIDEO_MID = "0", "1"
PATIENCE_S = 2.0
AUDIO_SSRC, VIDEO_SSRC = 3_970_034_345, 2_637_134_066
CONFIG = MediaConfig(
    addresses=("127.0.0.1",),
    port=0,
    gate_slots=64,
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


def audio(seq: int, mid: str = AUDIO_MID, level: int = 20) -> FakeRtp:
    """Opus as the captured offer numbers it: mid is extension 4, level 1."""
    extensions = {4: mid.encode(), 1: bytes([0x80 | level])}
    return FakeRtp(111, seq & 0xFFFF, 960 * seq, AUDIO_SSRC, b"\xfc" + bytes(20), False, extensions)


def video(seq: int, ssrc: int = VIDEO_SSRC) -> FakeRtp:
    """A VP8 keyframe as the captured offer numbers it."""
    payload = b"\x10\x10\x02\x00\x9d\x01\x2a\x10\x00\x10\x00" + bytes(40)
    return FakeRtp(96, seq & 0xFFFF, 3000 * seq, ssrc, payload, True, {4: VIDEO_MID.encode()})


def delta(seq: int) -> FakeRtp:
    """A predicted VP8 frame."""
    payload = b"\x10\x11\x02\x00" + bytes(40)
    return FakeRtp(96, seq & 0xFFFF, 3000 * seq, VIDEO_SSRC, payload, True, {4: VIDEO_MID.encode()})


def ids(answer: PublishAnswer) -> dict[str, TrackId]:
    return {track.kind: track.track for track in answer.tracks}


async def speak(sender: MediaClient, receiver: MediaClient, first: int, count: int = 5) -> list[FakeRtp]:
    """Send audio, and what arrives of it: all, or what has come when patience ends."""
    await _say(sender, receiver, first, count)
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while len(_heard(receiver)) < count and asyncio.get_running_loop().time() < deadline:
        await receiver.pump(0.02)
    return _heard(receiver)


async def unheard(sender: MediaClient, receiver: MediaClient, first: int, count: int = 5) -> list[FakeRtp]:
    """Send audio that is not to arrive, and what arrives of it all the same."""
    await _say(sender, receiver, first, count)
    await receiver.pump(0.15)
    return _heard(receiver)


async def _say(sender: MediaClient, receiver: MediaClient, first: int, count: int) -> None:
    receiver.received.clear()
    for seq in range(first, first + count):
        sender.send(audio(seq))
        await asyncio.sleep(0)


def _heard(receiver: MediaClient) -> list[FakeRtp]:
    return [packet for packet in receiver.received if packet.pt == 111]
