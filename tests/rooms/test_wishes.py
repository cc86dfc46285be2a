"""What viewers wish of a picture, and what their path carries, over the native core: they are told."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from rooms import (
    LayerChosen,
    LayersWanted,
    Participant,
    RoomsConfig,
    RoomService,
    SubscribeOfferReady,
    SystemClock,
)
from sfu import MediaPlane, TrackId
from store import Store, StoreConfig
from tests.net.camera import Camera, Layer, height_of
from tests.net.feedback import remb
from tests.rooms.rig import MEDIA, Rig, until
from tests.sfu.client import MediaClient
from tests.sfu.wires import UdpWire

LOW, MIDDLE, HIGH = 180, 360, 720
PLENTY = 10_000_000
_TWCC = "transport-cc|transport-wide-cc-extensions-01"


@dataclass
class Screening:
    """A simulcast camera of one person, watched by another whose path is what its REMB says."""

    rig: Rig
    camera: Camera
    publisher: Participant
    viewer: Participant
    client: MediaClient
    track: TrackId
    bps: int = PLENTY
    told: list[LayerChosen] = field(default_factory=list)
    asked: list[LayersWanted] = field(default_factory=list)

    async def watch(self) -> None:
        """Receive, and tell the path, until it is cancelled."""
        while True:
            await self.client.pump(0.05)
            sources = sorted({packet.ssrc for packet in self.client.received})
            assert self.client.sessions is not None
            self.client.wire.send(self.client.sessions.tx.protect_rtcp(remb(self.bps, sources)))

    async def shows(self, height: int | None, patience_s: float = 5.0) -> None:
        """Wait until nothing but a picture of this height comes, or nothing at all."""

        def is_shown() -> bool:
            seen = {height_of(packet) for packet in self.client.received[before:]}
            return seen == ({height} if height is not None else set())

        async with asyncio.timeout(patience_s):
            while True:
                before = len(self.client.received)
                await asyncio.sleep(0.3)
                if is_shown():
                    return

    async def is_asked_for(self, *rids: str) -> None:
        """Wait until the publisher is told that these encodings are wanted."""

        def newest() -> bool:
            self.asked += self.rig.events(self.publisher, LayersWanted)
            return self.asked[-1:] == [LayersWanted(self.track, rids, is_wanted=bool(rids))]

        await until(newest, f"{rids} are wanted", 10)

    async def is_told(self, state: str) -> LayerChosen:
        """Wait until the viewer is told this state; the news."""

        def newest() -> bool:
            self.told += self.rig.events(self.viewer, LayerChosen)
            return bool(self.told) and self.told[-1].state == state

        await until(newest, state)
        return self.told[-1]


@pytest.fixture
async def screening() -> AsyncIterator[Screening]:
    async with AsyncExitStack() as stack:
        plane = await MediaPlane.start(MEDIA)
        stack.push_async_callback(plane.close)
        store = await Store.open(StoreConfig(data_dir=None))
        stack.push_async_callback(store.close)
        clock = SystemClock()
        service = await RoomService.start(plane, store, RoomsConfig(), clock=clock)
        stack.push_async_callback(service.close)
        rig = Rig(clock, plane, store, service)  # type: ignore[arg-type]
        ada, bob = await rig.join("ada"), await rig.join("bob")
        sender, receiver = (MediaClient(UdpWire(plane.engine), seed=seed) for seed in (1, 2))
        stack.callback(sender.close)
        stack.callback(receiver.close)
        published = await ada.publish(sender.offer("chromium-offer-simulcast-3rid"))
        await sender.connect(published.sdp)
        layers = (
            Layer("l", 0x51, LOW, 60_000),
            Layer("m", 0x52, MIDDLE, 200_000),
            Layer("h", 0x53, HIGH, 500_000),
        )
        camera = Camera(sender, layers)
        [track] = published.tracks
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(camera.run())]
            await until(lambda: rig.events(bob, SubscribeOfferReady), "an offer")
            offer = await bob.next_offer()
            assert offer is not None
            joining = group.create_task(receiver.connect(offer.sdp))
            answer = receiver.answer(offer.sdp)
            kept = "".join(f"{line}\r\n" for line in answer.splitlines() if not re.search(_TWCC, line))
            await bob.subscribe_answer(offer.version, kept)
            await joining
            made = Screening(rig, camera, ada, bob, receiver, track.track)
            tasks.append(group.create_task(made.watch()))
            try:
                await made.shows(HIGH)
                yield made
            finally:
                for task in tasks:
                    task.cancel()


async def test_a_viewer_is_told_what_its_path_carries(screening: Screening) -> None:
    screening.bps = 150_000
    assert (await screening.is_told("active")).spatial == 0
    await screening.shows(LOW)
    screening.bps = 30_000
    assert (await screening.is_told("starved")).track == screening.track
    await screening.shows(None)
    screening.bps = PLENTY
    assert (await screening.is_told("active")).track == screening.track
    await screening.shows(HIGH, 10)


async def test_a_viewer_gets_the_layer_and_the_size_that_it_asks_for_or_nothing(screening: Screening) -> None:
    viewer, track = screening.viewer, screening.track
    await viewer.subscription(track, spatial=1)
    await screening.shows(MIDDLE)
    await viewer.subscription(track, height=LOW)
    await screening.shows(LOW)
    await viewer.subscription(track, is_enabled=False)
    assert (await screening.is_told("paused")).track == track
    await screening.shows(None)
    await viewer.subscription(track)
    await screening.shows(HIGH)


async def test_a_publisher_is_told_which_layers_anybody_has_a_use_for(screening: Screening) -> None:
    await screening.viewer.subscription(screening.track, height=LOW)
    await screening.is_asked_for("l")
    await screening.viewer.subscription(screening.track)
    await screening.is_asked_for("l", "m", "h")


@pytest.mark.parametrize("is_noticed", [True, False], ids=["lost", "half-open"])
async def test_a_publisher_whose_signalling_was_away_is_told_what_is_wanted_now(
    screening: Screening, is_noticed: bool
) -> None:
    lost = screening.publisher
    await screening.viewer.subscription(screening.track, is_enabled=False)
    await screening.is_asked_for()
    if is_noticed:
        await lost.suspend()
    await screening.viewer.subscription(screening.track)
    screening.publisher = await screening.rig.join("ada", resume=lost.resume_secret, media="kept")
    await screening.is_asked_for("l", "m", "h")


async def test_a_viewer_whose_signalling_was_away_is_told_what_its_path_carries_now(
    screening: Screening,
) -> None:
    lost = screening.viewer
    await lost.suspend()
    screening.bps = 30_000
    await screening.shows(None)
    screening.viewer = await screening.rig.join("bob", resume=lost.resume_secret, media="kept")
    assert (await screening.is_told("starved")).track == screening.track
