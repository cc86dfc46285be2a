"""Ten viewers with different limits and one publisher: each gets the layer that fits it."""

import asyncio
import contextlib
import re
from dataclasses import dataclass, field, replace
from statistics import mode

import pytest
from pylibsrtp import Error

from bench import network_charts
from bench.network import ViewerFigures
from bench.quantiles import quantile
from sfu import CodecPolicy, MediaPlane, PeerConnected, SubscribeOffer
from sfu.engine.fake.rtp import FakeRtp
from sfu.engine.types import PathKind
from tests.net.camera import Camera, Layer, height_of
from tests.net.feedback import TransportFeedback, remb
from tests.net.shaper import Conditions, Shaper
from tests.sfu.client import MediaClient
from tests.sfu.room import CONFIG, Room
from tests.sfu.wires import PATIENCE_S, Wire
from tests.support.figures import keep, tell
from tests.support.promises import STARVED_FACTOR

pytestmark = pytest.mark.slow

LOW, MIDDLE, HIGH = 180, 360, 720
SETTLED_S = 5.0
"""A viewer has the layer that fits it after so long; the figure is printed."""
CHECKED_S = 4.0
"""At the end, so long, nothing but that layer comes."""
PLENTY_BPS = 3e6
UNDISTURBED = 0.9
"""Of what somebody with plenty gets, once it has come, so much at least is of the highest layer."""
FEEDBACK_S = 0.05
WRAPPING = 28
"""Bytes of IP and UDP around a datagram."""
TWCC = "transport-wide-cc-extensions-01"


class ShapedWire:
    """A wire whose way down is a bottleneck."""

    kind: PathKind = "udp"

    def __init__(self, wire: Wire, bps: float | None) -> None:
        self._wire = wire
        self.down = Shaper(Conditions(bps=bps, delay_s=0.01))
        self.ip, self.port = wire.ip, wire.port
        self.aim, self.send, self.close = wire.aim, wire.send, wire.close

    async def receive(self, timeout_s: float = PATIENCE_S) -> bytes | None:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while True:
            arrived = next(self.down.poll(loop.time()), None)
            if arrived is not None or loop.time() >= end:
                return arrived
            due = min(self.down.deadline() or end, end)
            data = await self._wire.receive(max(0.0, due - loop.time()))
            if data is not None:
                self.down.receive(data, loop.time())


@dataclass
class Viewer(MediaClient):
    """Counts what it gets of which layer, and tells the sender how its path is."""

    limit: float | None
    fits: int
    is_remb: bool = False
    seen: list[tuple[float, int, int]] = field(default_factory=list)
    """(when, height, bytes with those of IP and UDP) of each packet of the camera."""

    def begin(self, wire: Wire, seed: int) -> None:
        shaped = ShapedWire(wire, self.limit)
        super().__init__(shaped, seed=seed)
        self._down = shaped.down
        self._feedback = TransportFeedback()
        self._twcc_id = 0
        self._sources: set[int] = set()
        self._rtx: set[int] = set()

    def agree(self, offer: SubscribeOffer) -> str:
        """An answer with the one kind of feedback that this viewer gives."""
        found = re.search(rf"a=extmap:(\d+) \S+{TWCC}", offer.sdp)
        assert found is not None
        self._twcc_id = int(found[1])
        self._rtx = {int(pt) for pt in re.findall(r"a=rtpmap:(\d+) rtx/", offer.sdp)}
        answer = self.answer(offer.sdp)
        left_out = f"transport-cc|{TWCC}" if self.is_remb else "goog-remb"
        return "".join(f"{line}\r\n" for line in answer.splitlines() if not re.search(left_out, line))

    def figures(self, started: float, ended: float) -> ViewerFigures:
        """What the path carried, and what came of it."""
        halves: dict[int, list[tuple[int, int]]] = {}
        for at, height, size in self.seen:
            halves.setdefault(int((at - started) * 2), []).append((height, size))
        lately = sum(size for at, _, size in self.seen if ended - CHECKED_S < at <= ended)
        queued = self._down.report().queued_s
        return ViewerFigures(
            limit_bps=self.limit,
            feedback="REMB" if self.is_remb else "TWCC",
            fits=self.fits,
            settled_s=self.settled_s(started),
            got_bps=lately * 8 / CHECKED_S,
            queued_p95_ms=quantile(queued, 0.95) * 1000,
            line=[
                (half / 2, sum(size for _, size in came) * 16 // 1000, mode(height for height, _ in came))
                for half, came in sorted(halves.items())
            ],
        )

    def _take_media(self, data: bytes, sessions: object) -> None:
        if 192 <= data[1] <= 223:
            return
        assert self.sessions is not None
        try:
            packet = FakeRtp.parse(self.sessions.rx.unprotect(data))
        except Error:
            return
        if packet is None:
            return
        now = asyncio.get_running_loop().time()
        number = packet.extensions.get(self._twcc_id)
        if number is not None:
            self._feedback.receive(int.from_bytes(number, "big"), now)
        if packet.pt not in self._rtx:
            self._sources.add(packet.ssrc)
            self.seen.append((now, height_of(packet), len(data) + WRAPPING))

    async def watch(self) -> None:
        while True:
            await self.pump(FEEDBACK_S)
            assert self.sessions is not None
            if self.is_remb:
                assert self.limit is not None
                self.wire.send(self.sessions.tx.protect_rtcp(remb(int(self.limit), sorted(self._sources))))
            elif (report := self._feedback.poll()) is not None:
                self.wire.send(self.sessions.tx.protect_rtcp(report))

    def settled_s(self, since: float) -> float:
        """When the last packet of a layer that does not fit came."""
        return max((at - since for at, height, _ in self.seen if height != self.fits), default=0.0)


def viewers() -> list[Viewer]:
    return [
        Viewer(200e3, LOW),
        Viewer(300e3, LOW),
        Viewer(600e3, MIDDLE),
        Viewer(800e3, MIDDLE),
        Viewer(1e6, MIDDLE),
        Viewer(2e6, HIGH),
        Viewer(3e6, HIGH),
        Viewer(None, HIGH),
        Viewer(300e3, LOW, is_remb=True),
        Viewer(700e3, MIDDLE, is_remb=True),
    ]


async def test_each_of_ten_viewers_gets_the_layer_that_fits_and_nobody_pulls_another_down() -> None:
    plane = await MediaPlane.start(replace(CONFIG, join_timeout_s=10.0, answer_timeout_s=10.0))
    room = Room(plane, plane.router("r", CodecPolicy()))
    camera = room.client()
    layers = (
        Layer("l", 0x51, LOW, 100_000),
        Layer("m", 0x52, MIDDLE, 350_000),
        Layer("h", 0x53, HIGH, 1_200_000),
    )
    people = viewers()
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        tasks = [group.create_task(room.read())]
        try:
            answer = await room.router.publish("p_alice", camera.offer("chromium-offer-simulcast-3rid"))
            await camera.connect(answer.sdp)
            await room.event(PeerConnected)
            tasks.append(group.create_task(Camera(camera, layers).run()))
            [track] = answer.tracks
            for number, viewer in enumerate(people):
                viewer.begin(room.wire(), seed=100 + number)
                stack.callback(viewer.close)
                sub = await room.router.subscriber(f"p_{number}")
                await room.router.subscribe(sub, track.track)
                offer = await room.router.offer(sub)
                assert offer is not None
                joining = group.create_task(viewer.connect(offer.sdp))
                await room.router.answer(sub, offer.version, viewer.agree(offer))
                await joining
                tasks.append(group.create_task(viewer.watch()))
            started = asyncio.get_running_loop().time()
            await asyncio.sleep(SETTLED_S * STARVED_FACTOR)
            ended = asyncio.get_running_loop().time()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await room.close()
            await plane.close()
    found = [viewer.figures(started, ended) for viewer in people]
    keep("viewers", {"viewers": [one.plain() for one in found]}, network_charts.viewers(found))
    for viewer in people:
        limit = "no limit" if viewer.limit is None else f"{viewer.limit / 1e6:.1f} Mb/s"
        tell(
            f"{limit}, {'REMB' if viewer.is_remb else 'TWCC'}: {viewer.fits} lines "
            f"after {viewer.settled_s(started):.1f} s"
        )
    for viewer in people:
        late = [height for at, height, _ in viewer.seen if at > ended - CHECKED_S]
        assert late
        assert set(late) == {viewer.fits}, f"{viewer.limit} b/s got {set(late)}"
    for viewer in people:
        if viewer.limit is None or viewer.limit >= PLENTY_BPS:
            first = next(number for number, (_, height, _) in enumerate(viewer.seen) if height == HIGH)
            since = [height for _, height, _ in viewer.seen[first:]]
            share = since.count(HIGH) / len(since)
            assert share >= UNDISTURBED, f"somebody else's limit was felt at {viewer.limit} b/s: {share:.0%}"
