import asyncio
import time
from fractions import Fraction

import av
import pytest

from bench.studio.rtmp_site import RtmpSite
from rebroadcast.worker import flv
from rebroadcast.worker.link import Address, LinkError
from rebroadcast.worker.rtmp import RtmpTarget
from rebroadcast.worker.rtmp.client import RtmpConnection


@pytest.fixture
async def server(tmp_path):
    server = RtmpSite(tmp_path)
    await server.start()
    yield server
    await server.stop()


async def connect(server, key="room", application="live"):
    target = RtmpTarget.parse(server.url(key, application))
    return await RtmpConnection.open(target, Address("127.0.0.1", server.port), clock=time.monotonic)


async def until(condition, timeout_s=8.0):
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 (the condition lives in the kernel or another process)
            await asyncio.sleep(0.02)


async def test_a_real_server_takes_and_records_what_is_published(server):
    connection = await connect(server)
    connection.send_metadata({"width": 320.0, "height": 180.0})
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuv420p"
    encoder.time_base, encoder.flags = Fraction(1, 15), encoder.flags | av.codec.context.Flags.global_header
    encoder.options = {"tune": "zerolatency"}
    encoder.open()
    connection.send_video(flv.avc_header(flv.avc_configuration(encoder.extradata)), 0)
    for index in range(30):
        frame = av.VideoFrame(320, 180, "yuv420p")
        frame.pts = index
        for packet in encoder.encode(frame):
            connection.send_video(flv.avc_frame(bytes(packet), is_keyframe=packet.is_keyframe), index * 66)
    await until(lambda: connection.acknowledged_bytes() >= connection.queued_bytes)
    assert connection.acknowledged_bytes() == connection.queued_bytes
    assert connection.backlog_bytes() == 0
    await connection.aclose()
    await until(lambda: server.recordings and server.recordings[0].stat().st_size > 500)
    await server.stop()
    with av.open(str(server.recordings[0])) as recording:
        assert sum(1 for _ in recording.decode(video=0)) >= 29


@pytest.mark.parametrize("application", ["closed", "absent"])
async def test_a_refused_publish_ends_with_an_error_that_keeps_the_key(server, application):
    # This server answers Publish.Start before it applies its rule, then closes: acceptance proves little.
    with pytest.raises(LinkError) as error:
        await publish_until_the_end(server, application)
    assert "very-secret" not in str(error.value)


async def publish_until_the_end(server, application):
    connection = await connect(server, key="very-secret", application=application)
    try:
        await connection.run(time.monotonic)
    finally:
        await connection.reset()


async def test_a_server_that_goes_away_ends_the_run(server):
    connection = await connect(server)
    run = asyncio.create_task(connection.run(time.monotonic))
    await server.stop()
    with pytest.raises(LinkError):
        await run
    await connection.reset()


async def test_a_closed_port_is_an_error_that_names_the_host(server):
    await server.stop()
    with pytest.raises(LinkError, match=r"127\.0\.0\.1"):
        await connect(server)


async def test_a_frozen_server_leaves_the_bytes_unacknowledged_and_counted(server):
    connection = await connect(server)
    server.freeze()
    try:
        for index in range(100):
            connection.send_video(b"\x27\x01\x00\x00\x00" + bytes(60_000), index)
        await until(lambda: connection.backlog_bytes() > 1_000_000)
        assert connection.acknowledged_bytes() < connection.queued_bytes
        await connection.reset()
    finally:
        server.thaw()
