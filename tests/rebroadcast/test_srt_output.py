"""One SRT destination against Debian's ffmpeg as the receiver: what it reports, what it survives."""

import contextlib
import time
from pathlib import Path

import av
import pytest

from rebroadcast.worker.srt.link import SrtDial
from tests.rebroadcast.pushing import EPOCH, push_stages
from tests.support.promises import assert_promised
from tests.support.srt_listener import SrtListener, free_udp_port

PASSPHRASE = "correct horse battery".replace(" ", "-")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


def command_lines():
    """Of all processes, as everybody on the machine may read them."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            lines.append(process.read_bytes())
    return lines


@pytest.fixture
async def stage():
    async with push_stages() as make:

        def srt(port, secret="", latency=120):
            url = f"srt://127.0.0.1:{port}?latency={latency}"
            return make(lambda audio: SrtDial(url, secret, audio, clock=time.monotonic), port)

        yield srt


@pytest.fixture
async def listener(tmp_path):
    made = []

    async def listen(**parameters):
        made.append(SrtListener(tmp_path, **parameters))
        await made[-1].start()
        return made[-1]

    yield listen
    for one in made:
        await one.stop()


async def test_a_receiver_with_the_passphrase_gets_picture_and_sound(stage, listener):
    there = await listener(passphrase=PASSPHRASE)
    site = stage(there.port, f"streamid=main&passphrase={PASSPHRASE}")
    await site.feed_until(lambda: site.index > 60 and there.received > 50_000, "the stream")
    assert site.states == ["connecting", *["live"] * (len(site.states) - 1)]
    known = site.said[-1].bytes_acknowledged
    await site.feed_until(lambda: site.said[-1].bytes_acknowledged > known, "more bytes")
    with av.open(str(there.file)) as stream:
        assert {s.codec_context.name for s in stream.streams} == {"h264", "aac"}
        pictures = [(f.width, f.height) for f in stream.decode(video=0)]
    assert len(pictures) > 20
    assert set(pictures) == {(320, 180)}


async def test_the_secrets_stand_on_no_command_line(stage, listener):
    there = await listener()
    site = stage(there.port, "streamid=canary-stream-id&passphrase=")
    await site.feed_until(lambda: "live" in site.states, "live")
    lines = command_lines()
    assert any(str(there.port).encode() in line for line in lines), "the control: the receiver's own"
    assert not [line for line in lines if b"canary-stream-id" in line]


async def test_a_wrong_passphrase_is_told_and_tried_again(stage, listener):
    there = await listener(passphrase=PASSPHRASE)
    site = stage(there.port, "passphrase=not-the-right-one")
    await site.feed_until(lambda: "backing_off" in site.states, "the refusal")
    reason = next(message.reason for message in site.said if message.state == "backing_off")
    assert "live" not in site.states
    assert "not-the-right-one" not in reason
    assert reason.startswith("no SRT connection")


async def test_a_receiver_that_is_not_there_is_found_when_it_comes(stage, tmp_path):
    there = SrtListener(tmp_path)
    site = stage(there.port)
    await site.feed_until(lambda: "backing_off" in site.states, "nobody")
    await there.start()
    try:
        await site.feed_until(lambda: site.states[-1] == "live", "live", patience_s=40)
    finally:
        await there.stop()


async def test_a_receiver_that_hangs_is_degraded_and_one_that_dies_is_left(stage, listener):
    there = await listener()
    site = stage(there.port)
    await site.feed_until(lambda: "live" in site.states, "live")
    there.freeze()
    began = time.monotonic()
    await site.feed_until(lambda: site.states[-1] == "degraded", "degraded")
    assert_promised("the truth about a receiver that hangs", time.monotonic() - began, 2.0)
    there.thaw()
    await site.feed_until(lambda: site.states[-1] == "live", "live again")
    await there.stop()
    await site.feed_until(lambda: site.states[-1] == "backing_off", "the end", patience_s=20)
    await there.start()
    await site.feed_until(lambda: site.states[-1] == "live", "live again", patience_s=40)


async def test_what_was_sent_before_a_cut_is_taken_back_when_the_receiver_hangs(stage, listener):
    there = await listener()
    site = stage(there.port)
    await site.feed_until(lambda: "live" in site.states, "live")
    there.freeze()
    mark = site.index
    await site.feed_until(lambda: site.index > mark + 5, "frames that nobody takes")
    site.page.store_open(EPOCH, 2)
    began = time.monotonic()
    await site.output.cut(2)
    assert_promised("the cut", time.monotonic() - began, 0.15)
    assert site.output._link is None
    there.thaw()
    await site.feed_until(lambda: "backing_off" in site.states, "the truth")
    assert "revocation" in next(m.reason for m in site.said if m.state == "backing_off")


async def test_a_receiver_that_takes_what_it_gets_keeps_its_connection_over_a_cut(stage, listener):
    there = await listener()
    site = stage(there.port)
    await site.feed_until(lambda: "live" in site.states, "live")
    site.page.store_open(EPOCH, 3)
    await site.output.cut(3)
    assert site.output._link is not None
    known = there.received
    await site.feed_until(lambda: there.received > known + 20_000, "what comes after")
    assert "backing_off" not in site.states


async def test_nobody_listening_is_not_live(stage):
    site = stage(free_udp_port())
    await site.feed_until(lambda: "backing_off" in site.states, "nobody")
    assert site.output._link is None
