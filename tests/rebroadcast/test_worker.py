import asyncio
import contextlib
import io
import os
import socket
import sys

import msgspec
import pytest

from bench.studio.decoded import colours, samples, share_of_colour, tone_level
from bench.studio.rtmp_site import RtmpSite
from media.control import CONTROL_FD, ControlChannel, WorkerStart, control_pair
from media.gates import GatePage
from rebroadcast.worker.messages import (
    ChatShown,
    CutDone,
    CutPerson,
    FromWorker,
    HlsPiece,
    HlsStart,
    OpenTap,
    OutputConfig,
    OutputState,
    Person,
    Stop,
)
from tests.support.promises import assert_promised
from tests.support.taps import Feeder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

RED, BLUE = (200, 40, 40), (40, 60, 200)
CUT_DONE_S = 0.15
"""A consumer that has not cut by then is killed."""
EPOCH_SLOT, ADA_SLOT, BOB_SLOT = 1, 2, 3


class Stage:
    """A real program process with two people on its taps, and everything that it said."""

    def __init__(self, page, sink, channel, process):
        self.page = page
        self.sink = sink
        self.channel = channel
        self.process = process
        self.said = []
        self.news = asyncio.Event()
        self.tasks = []

    async def listen(self):
        decoder = msgspec.msgpack.Decoder(FromWorker)
        while (message := await self.channel.receive(decoder)) is not None:
            self.said.append(message)
            self.news.set()

    async def until(self, condition, timeout_s=30.0):
        async with asyncio.timeout(timeout_s):
            while not condition():
                self.news.clear()
                await self.news.wait()

    def add_person(self, person, name, slot, *, rgb, hz, taps, is_granted=True):
        self.channel.send(Person(person, f"p_{person}", name if is_granted else None, True))
        if not is_granted:
            return
        self.page.store_open(slot, 1)
        for kind, tap in zip(("video", "audio"), taps, strict=True):
            source = "camera" if kind == "video" else "mic"
            self.channel.send(OpenTap(tap, person, f"p_{person}", kind, source, slot, 1))
        feeder = Feeder(
            self.sink, rgb=rgb, hz=hz, video_tap=taps[0], audio_tap=taps[1], gate_slot=slot, gate_version=1
        )
        self.tasks.append(asyncio.create_task(feeder.run()))

    def segments(self):
        """(people, bytes of a playable file) of each HLS segment so far."""
        init, pieces, persons, found = b"", b"", set(), []
        for message in self.said:
            if isinstance(message, HlsStart):
                init, pieces, persons = message.init, b"", set()
            elif isinstance(message, HlsPiece):
                pieces += message.data
                persons |= set(message.persons)
                if message.is_last and message.ends_segment:
                    found.append((persons, init + pieces))
                    pieces, persons = b"", set()
        return found


@pytest.fixture
async def stage():
    page = GatePage.create(16)
    page.store_open(EPOCH_SLOT, 1)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    ours, theirs = control_pair()
    gates = page.read_only_fd()
    mapping = {"sink": far.fileno(), "gates": gates}
    process = await asyncio.create_subprocess_exec(
        "/bin/bash",
        "-c",
        f'exec "$0" -m rebroadcast.worker {CONTROL_FD}<&{theirs.fileno()}',
        sys.executable,
        pass_fds=[theirs.fileno(), *mapping.values()],
    )
    theirs.close()
    far.close()
    os.close(gates)
    channel = await ControlChannel.open(ours)
    config = {
        "epoch_slot": EPOCH_SLOT,
        "width": 640,
        "height": 360,
        "fps": 15,
        "video_bps": 800_000,
        "segment_s": 1.0,
    }
    channel.send(WorkerStart(fds=mapping, config=config))
    stage = Stage(page, near, channel, process)
    listener = asyncio.create_task(stage.listen())
    yield stage
    for task in stage.tasks:
        task.cancel()
    with contextlib.suppress(Exception):
        channel.send(Stop())
    async with asyncio.timeout(10):
        assert await process.wait() == 0
        await listener
    await asyncio.gather(*stage.tasks, return_exceptions=True)
    await channel.close()
    near.close()
    page.close()


async def test_granted_people_are_seen_heard_and_named_and_others_are_placeholders(stage):
    stage.add_person("ada", "Ada", ADA_SLOT, rgb=RED, hz=440, taps=(11, 12))
    stage.add_person("cal", "Cal", 0, rgb=None, hz=None, taps=None, is_granted=False)
    stage.channel.send(OutputConfig("out", "hls"))
    await stage.until(lambda: len(stage.segments()) >= 4)
    persons, data = stage.segments()[-1]
    assert persons == {"ada"}
    picture = colours(io.BytesIO(data))[-1]
    assert share_of_colour(picture[:, :320], RED) > 0.3
    assert share_of_colour(picture[:, 320:], RED) < 0.01
    assert tone_level(samples(io.BytesIO(data)), 440) > 0.1


async def test_a_cut_takes_a_person_out_of_everything_that_follows(stage):
    stage.add_person("ada", "Ada", ADA_SLOT, rgb=RED, hz=440, taps=(11, 12))
    stage.add_person("bob", "Bob", BOB_SLOT, rgb=BLUE, hz=880, taps=(21, 22))
    stage.channel.send(ChatShown("1", "bob", "Bob", "hello", BOB_SLOT, 1))
    stage.channel.send(OutputConfig("out", "hls"))
    await stage.until(lambda: any(persons == {"ada", "bob"} for persons, _ in stage.segments()[2:]))
    both = stage.segments()[-1][1]
    assert share_of_colour(colours(io.BytesIO(both))[-1], BLUE) > 0.15
    assert tone_level(samples(io.BytesIO(both)), 880) > 0.1

    stage.page.store_closed(BOB_SLOT, 2)
    stage.page.store_open(EPOCH_SLOT, 2)
    stage.channel.send(CutPerson(7, "bob", 2))
    started = asyncio.get_running_loop().time()
    await stage.until(lambda: any(isinstance(m, CutDone) and m.cut_id == 7 for m in stage.said))
    assert_promised("the cut is acknowledged", asyncio.get_running_loop().time() - started, CUT_DONE_S)
    mark = len(stage.segments())
    await stage.until(lambda: len(stage.segments()) >= mark + 3)
    for persons, data in stage.segments()[mark:]:
        assert persons == {"ada"}
        assert all(share_of_colour(picture, BLUE) < 0.01 for picture in colours(io.BytesIO(data)))
        sound = samples(io.BytesIO(data))
        assert tone_level(sound, 880) < 0.005
        assert tone_level(sound, 440) > 0.1
    assert sum(isinstance(m, HlsStart) for m in stage.said) == 2


async def test_a_site_that_comes_back_is_served_again_and_hls_never_stops(stage, tmp_path):
    server = RtmpSite(tmp_path)
    await server.start()
    try:
        stage.add_person("ada", "Ada", ADA_SLOT, rgb=RED, hz=440, taps=(11, 12))
        stage.channel.send(OutputConfig("hls", "hls"))
        output = OutputConfig("site", "rtmp", server.url("key"), (("127.0.0.1", server.port),))
        stage.channel.send(output)

        def states():
            return [m.state for m in stage.said if isinstance(m, OutputState) and m.id == "site"]

        await stage.until(lambda: "live" in states())
        mark = len(stage.segments())
        await server.stop()
        await stage.until(lambda: states()[-1] == "backing_off")
        await server.start()
        await stage.until(lambda: states()[-1] == "live")
        await stage.until(lambda: len(stage.segments()) > mark + 2)
        assert sum(isinstance(m, HlsStart) for m in stage.said) == 1
    finally:
        await server.stop()
    picture = colours(str(server.recordings[-1]))[-1]
    assert share_of_colour(picture, RED) > 0.5
