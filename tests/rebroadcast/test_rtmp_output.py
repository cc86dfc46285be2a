"""One RTMP destination against a real server: what it reports, what it survives, how it ends."""

import asyncio
import time

import av
import pytest

from bench.studio.rtmp_site import RtmpSite
from bench.target import free_port
from media.canvas import Canvas
from rebroadcast.worker.encode import EncodedVideo, VideoEncoder, VideoFormat
from rebroadcast.worker.feed import FeedItem
from rebroadcast.worker.rtmp import amf0
from rebroadcast.worker.rtmp.chunk import ChunkReader, MessageType
from rebroadcast.worker.rtmp.session import HANDSHAKE_BYTES
from rebroadcast.worker.rtmp_link import RtmpDial
from tests.rebroadcast.pushing import EPOCH, FPS, push_stages
from tests.support.promises import assert_promised


class Wiretap:
    """A listener that hands everything on to the site, and keeps what the publisher said."""

    def __init__(self, port):
        self._port = port
        self._heard = bytearray()
        self._tasks = []

    async def start(self):
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def stop(self):
        self._server.close()
        await asyncio.gather(*self._tasks)

    def messages(self):
        return ChunkReader().receive(bytes(self._heard[1 + 2 * HANDSHAKE_BYTES :]))

    async def _take(self, reader, writer):
        there_reader, there = await asyncio.open_connection("127.0.0.1", self._port)
        self._tasks += [
            asyncio.create_task(self._copy(reader, there, self._heard)),
            asyncio.create_task(self._copy(there_reader, writer, bytearray())),
        ]

    async def _copy(self, source, sink, kept):
        while data := await source.read(65_536):
            kept += data
            sink.write(data)
        sink.close()
        await sink.wait_closed()


@pytest.fixture
async def stage():
    async with push_stages() as make:

        def rtmp(port, url=None, tls=None):
            def dial(audio):
                target = url or f"rtmp://127.0.0.1:{port}/live/key"
                return RtmpDial(target, audio, metadata={"encoder": "Parley"}, tls=tls, clock=time.monotonic)

            return make(dial, port)

        yield rtmp


@pytest.fixture
async def server(tmp_path):
    server = RtmpSite(tmp_path)
    await server.start()
    yield server
    await server.stop()


async def test_the_bytes_that_a_live_site_takes_are_reported_while_it_takes_them(stage, server):
    site = stage(server.port)
    await site.feed_until(lambda: "live" in site.states, "live")
    known = site.said[-1].bytes_acknowledged
    await site.feed_until(lambda: site.said[-1].bytes_acknowledged > known + 1000, "more bytes")
    assert site.states == sorted(site.states, key=["connecting", "live"].index)


async def test_a_site_that_took_no_media_yet_is_not_live(stage, server):
    site = stage(server.port)
    async with asyncio.timeout(5):
        while site.output._link is None:  # noqa: ASYNC110 (the state of another task)
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.6)
    assert site.states == ["connecting"]
    await site.feed_until(lambda: "live" in site.states, "live")
    assert site.output._link._format is not None


async def test_a_polite_end_stops_the_task_by_itself(stage, server):
    site = stage(server.port)
    await site.feed_until(lambda: "live" in site.states, "live")
    await site.output.close()
    async with asyncio.timeout(1):
        await site.task
    assert site.states[-1] == "stopped"


async def test_an_end_that_need_not_be_polite_takes_no_time_even_at_a_silent_site(stage, server):
    site = stage(server.port)
    await site.feed_until(lambda: "live" in site.states, "live")
    server.freeze()
    try:
        await site.flood()
        began = time.monotonic()
        await site.output.close(is_polite=False)
        assert_promised("the end", time.monotonic() - began, 0.1)
        async with asyncio.timeout(1):
            await site.task
    finally:
        server.thaw()


async def test_a_site_is_told_the_size_of_each_format_before_its_pictures(stage, server):
    wiretap = Wiretap(server.port)
    site = stage(await wiretap.start(), server.url("key"))
    await site.feed_until(lambda: site.index > 20 and "live" in site.states, "pictures")
    other = VideoEncoder(width=160, height=90, fps=FPS, bps=300_000)
    mark = site.index
    await site.feed_until(lambda: site.index > mark + 30, "smaller pictures", encoder=other)
    await site.output.close()
    await wiretap.stop()
    await server.stop()
    told = [
        amf0.decode(message.payload)[2]
        for message in wiretap.messages()
        if message.type_id == MessageType.DATA_AMF0
    ]
    assert [(values["width"], values["height"]) for values in told] == [(320.0, 180.0), (160.0, 90.0)]
    assert all(values["encoder"] == "Parley" for values in told)
    with av.open(str(server.recordings[0])) as recording:
        sizes = [(frame.width, frame.height) for frame in recording.decode(video=0)]
    assert sizes == sorted(sizes, reverse=True)
    assert set(sizes) == {(320, 180), (160, 90)}
    other.close()


async def test_parameters_that_flv_cannot_carry_end_the_connection_and_say_why(stage, server):
    site = stage(server.port)
    await site.feed_until(lambda: "live" in site.states, "live")
    (key,) = site.video.encode(Canvas(320, 180).to_frame(), 10_000, is_keyframe=True)
    without_pps = VideoFormat(b"\0\0\0\1\x67\x42\xc0\x0d\xff", key.format.stream, key.format.owner)
    site.output.feed(FeedItem(EncodedVideo(key.data, key.pts, 6000, True, without_pps), 1, frozenset()))
    await site.feed_until(lambda: "backing_off" in site.states, "the truth")
    reason = next(message.reason for message in site.said if message.state == "backing_off")
    assert "PPS" in reason
    await site.feed_until(lambda: site.states[-1] == "live", "live again")


async def test_frames_that_come_while_a_connection_ends_are_dropped_without_an_error(stage, server):
    site = stage(server.port)
    await site.feed_until(lambda: "live" in site.states, "live")
    stopping = asyncio.create_task(server.stop())
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and site.states[-1] == "live":
        for frame in site.frames():
            site.output.feed(FeedItem(frame, 1, frozenset()))
        await asyncio.sleep(0)
    await stopping
    await site.feed_until(lambda: "backing_off" in site.states, "the end")
    assert not site.task.done()


async def test_what_was_sent_before_a_cut_is_taken_back_when_the_site_does_not_take_it(stage, server):
    site = stage(server.port)
    await site.feed_until(lambda: "live" in site.states, "live")
    server.freeze()
    try:
        await site.flood()
        site.page.store_open(EPOCH, 2)
        began = time.monotonic()
        await site.output.cut(2)
        taken_s = time.monotonic() - began
        assert taken_s > 0.05
        assert_promised("the cut", taken_s, 0.15)
        assert site.output._link is None
    finally:
        server.thaw()
    await site.feed_until(lambda: "backing_off" in site.states, "the truth")
    assert "revocation" in next(m.reason for m in site.said if m.state == "backing_off")
    await site.feed_until(lambda: site.states[-1] == "live", "live again")


async def test_a_site_that_takes_nothing_is_shown_as_degraded(stage, server):
    site = stage(server.port)
    await site.feed_until(lambda: "live" in site.states, "live")
    server.freeze()
    try:
        await site.flood()
        await site.feed_until(lambda: site.states[-1] == "degraded", "degraded")
    finally:
        server.thaw()
    await site.feed_until(lambda: site.states[-1] == "live", "live again")


async def test_a_host_that_moves_is_followed(stage, server):
    closed = free_port()
    site = stage(closed)
    await site.feed_until(lambda: "backing_off" in site.states, "no connection")
    site.output.move((("127.0.0.1", server.port),))
    await site.feed_until(lambda: site.states[-1] == "live", "live")
