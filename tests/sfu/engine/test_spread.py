"""What every media engine keeps when a track's publisher and its subscriber live on different workers."""

import itertools
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from media.gates import Gate, GatePage
from media.tap_record import RtpRecord, read_records
from sfu.config import MediaConfig
from sfu.engine import events
from sfu.errors import EngineError
from tests.sfu.engine.rig import Remote, Rig, make_fake, make_native, opus, vp8_delta, vp8_keyframe
from tests.sfu.wires import until


@pytest.fixture(params=[make_fake, make_native], ids=["fake", "native"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    config = MediaConfig(addresses=("127.0.0.1",), port=0, workers=3, gate_slots=64)
    page = GatePage.create(config.gate_slots)
    made = Rig(request.param(config, page), page)
    made.engine.listen(made.seen.append)
    yield made
    await made.close()


def say(remote: Remote, first: int, count: int = 3) -> None:
    for seq in range(first, first + count):
        remote.send_rtp(opus(seq))


async def test_a_track_reaches_subscribers_on_every_worker(rig: Rig) -> None:
    publisher = await rig.remote(0)
    viewers = [await rig.remote(worker) for worker in range(3)]
    track = await rig.audio(publisher)
    for viewer in viewers:
        await rig.forward(track, viewer)
    say(publisher, 1)
    for viewer in viewers:
        assert [packet.payload for packet in await viewer.packets()] == [opus(n).payload for n in (1, 2, 3)]


async def test_a_viewer_gets_tracks_of_every_worker(rig: Rig) -> None:
    publishers = [await rig.remote(worker) for worker in range(3)]
    viewer = await rig.remote(1)
    for number, publisher in enumerate(publishers):
        track = await rig.audio(publisher)
        await rig.forward(track, viewer, ssrc=0x900 + 16 * number)
    for publisher in publishers:
        say(publisher, 1)
    assert {packet.ssrc for packet in await viewer.packets()} == {0x900, 0x910, 0x920}


async def test_a_picture_loss_crosses_to_the_publisher(rig: Rig) -> None:
    publisher, viewer = await rig.remote(0), await rig.remote(2)
    track = await rig.video(publisher)
    await rig.forward(track, viewer)
    publisher.send_rtp(vp8_keyframe(1))
    publisher.send_rtp(vp8_delta(2))
    assert len(await viewer.packets()) == 2
    await publisher.rtcp()
    report, loss = struct.pack("!BBHI", 0x80, 201, 1, 9), struct.pack("!BBHII", 0x81, 206, 2, 9, 0x900)
    viewer.send_rtcp(report + loss)
    assert [m for m in await publisher.rtcp(0.7) if m[1] == 206 and m[0] & 0x1F == 1]


async def test_a_gate_and_its_fence_hold_at_the_subscribers_worker(rig: Rig) -> None:
    publisher, viewer = await rig.remote(0), await rig.remote(1)
    track = await rig.audio(publisher)
    rig.engine.open_gate(3, 1)
    await rig.forward(track, viewer, Gate(3, 1))
    say(publisher, 1)
    assert len(await viewer.packets()) == 3
    rig.engine.close_gate(3, 2)
    await rig.engine.fence(1)
    await viewer.packets(0.01)
    say(publisher, 4)
    assert await viewer.packets() == []


async def test_a_sink_serves_tracks_of_every_worker(rig: Rig) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.setblocking(False)
    far.setblocking(False)
    sink = await rig.sink(near.fileno())
    near.close()
    rig.engine.open_gate(3, 1)
    taps = set()
    for worker in range(3):
        publisher = await rig.remote(worker)
        taps.add(await rig.tap(await rig.audio(publisher), sink, Gate(3, 1)))
        say(publisher, 1)
    found: list[RtpRecord] = []

    def read() -> bool:
        with suppress(BlockingIOError):
            found.extend(record for record in read_records(far.recv(65_536)) if isinstance(record, RtpRecord))
        return len(found) == 9

    await until(read, "nine records")
    assert {record.header.tap for record in found} == taps
    far.close()
    for worker in range(3):
        say(rig.remotes[worker], 4)
    await rig.event(events.SinkClosed)
    await rig.engine.remove_sink(sink)
    assert len(rig.of(events.SinkClosed)) == 1


@pytest.mark.parametrize("order", list(itertools.permutations(["track", "transport", "forward", "viewer"])))
async def test_whatever_goes_first_the_rest_goes_after(rig: Rig, order: tuple[str, ...]) -> None:
    publisher, viewer, other = await rig.remote(0), await rig.remote(1), await rig.remote(1)
    track = await rig.audio(publisher)
    forward = await rig.forward(track, viewer)
    await rig.forward(track, other)
    remove = {
        "track": lambda: rig.engine.remove_track(track),
        "transport": lambda: rig.engine.remove_transport(publisher.transport),
        "forward": lambda: rig.engine.remove_forward(forward),
        "viewer": lambda: rig.engine.remove_transport(viewer.transport),
    }
    gone: set[str] = set()
    ends = {"track": {"forward"}, "transport": {"track", "forward"}, "viewer": {"forward"}, "forward": set()}
    for place, what in enumerate(order):
        say(publisher, 1 + 10 * place)
        if what in gone:
            with pytest.raises(EngineError):
                await remove[what]()
        else:
            await remove[what]()
        gone |= {what} | ends[what]
    # The engine is whole: the same worker takes another publisher's track for the one who stayed.
    again = await rig.remote(2)
    await rig.forward(await rig.audio(again), other, ssrc=0xA00)
    say(again, 1)
    assert {p.ssrc for p in await other.packets()} >= {0xA00}
