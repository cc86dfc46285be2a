"""Data channels of aiortc peers through the native core: DTLS is kept for them, and ends with its peer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCSessionDescription

from sfu import (
    ChannelKind,
    CodecPolicy,
    DataReceived,
    MediaConfig,
    MediaPlane,
    PeerConnected,
    PeerFailed,
    PeerId,
    PlaneEvent,
    Router,
)
from tests.sfu.aiortc_client import ColourTrack, Peer
from tests.sfu.page_server import media_address
from tests.sfu.wires import until

Seen = PlaneEvent | DataReceived
RELIABLE, LOSSY = ChannelKind.RELIABLE, ChannelKind.LOSSY


class DataPeer(Peer):
    """A peer with the two channels."""

    def __init__(self, router: Router) -> None:
        super().__init__(router)
        self.reliable = self.pc.createDataChannel("reliable")
        self.lossy = self.pc.createDataChannel("lossy", ordered=False, maxRetransmits=0)
        self.got: list[bytes] = []
        for channel in (self.reliable, self.lossy):
            channel.on("message", self.got.append)

    async def connect(self, owner: str, peer: PeerId | None = None) -> PeerId:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        answer = await self.router.publish(owner, self.pc.localDescription.sdp, peer=peer, data=True)
        await self.pc.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        return answer.peer

    @property
    def is_open(self) -> bool:
        return {self.reliable.readyState, self.lossy.readyState} == {"open"}


@pytest.fixture
async def plane() -> AsyncIterator[MediaPlane]:
    config = MediaConfig(
        addresses=(media_address(),), port=0, gate_slots=64, data_message_bytes=1_000, idle_ms=300
    )
    plane = await MediaPlane.start(config)
    yield plane
    await plane.close()


@pytest.fixture
async def events(plane: MediaPlane) -> AsyncIterator[tuple[Router, list[Seen]]]:
    router, seen = plane.router("r", CodecPolicy()), list[Seen]()

    async def read_events() -> None:
        async for event in router.events:
            seen.append(event)

    async def read_data() -> None:
        async for message in router.data:
            seen.append(message)

    async with asyncio.TaskGroup() as group:
        group.create_task(read_events())
        group.create_task(read_data())
        yield router, seen
        await router.close()


async def test_messages_come_in_go_out_and_end_with_the_peer(
    plane: MediaPlane, events: tuple[Router, list[Seen]]
) -> None:
    router, seen = events
    async with DataPeer(router) as one, DataPeer(router) as two:
        ada, bob = await one.connect("p_ada"), await two.connect("p_bob")
        await until(lambda: one.is_open and two.is_open, "channels", 10)
        one.reliable.send(b"hello")
        one.lossy.send(b"wave")
        one.pc.sctp._remote_max_message_size = 0
        one.reliable.send(bytes(1_001))
        await until(lambda: len([e for e in seen if isinstance(e, DataReceived)]) == 2, "messages")
        assert {(e.kind, e.message) for e in seen if isinstance(e, DataReceived) and e.peer == ada} == {
            (RELIABLE, b"hello"),
            (LOSSY, b"wave"),
        }
        assert router.send_data([bob, ada, PeerId(999)], RELIABLE, b"to all").sent == 2
        assert router.send_data([bob], LOSSY, b"to bob").sent == 1
        await until(lambda: two.got and len(two.got) == 2 and one.got == [b"to all"], "answers")
        stats = await plane.stats()
        assert stats.plane["data_too_large"] == 1
        # No media flows here for longer than the idle time: that is no news of a connection with data alone.
        await asyncio.sleep(0.6)
        assert {type(event) for event in seen} == {PeerConnected, DataReceived}
        await router.remove_peer(ada)
        await until(lambda: one.reliable.readyState == "closed", "closed at once")
        assert router.send_data([ada], RELIABLE, b"late").sent == 0


async def test_data_runs_beside_media_and_media_goes_on_when_its_association_ends(
    events: tuple[Router, list[Seen]],
) -> None:
    router, seen = events
    async with DataPeer(router) as one, Peer(router) as receiver:
        one.pc.addTrack(ColourTrack((200, 30, 30)))
        peer = await one.connect("p_ada")
        await until(lambda: one.is_open, "channels", 10)
        (track,) = [
            track.track
            for track in (
                await router.publish("p_ada", one.pc.localDescription.sdp, peer=peer, data=True)
            ).tracks
        ]
        await receiver.subscribe("p_bob", track)
        await until(lambda: len(receiver.colours) > 5, "pictures", 10)
        one.reliable.send(b"beside")
        await until(lambda: any(isinstance(e, DataReceived) for e in seen), "the message")
        await one.pc.sctp.stop()
        before = len(receiver.colours)
        await until(lambda: len(receiver.colours) > before + 10, "pictures go on", 10)
        assert not any(isinstance(event, PeerFailed) for event in seen[-3:])
