"""RTMPS against nginx behind a real TLS front: who is believed, and what is counted."""

import time

import av
import pytest

from bench.studio.rtmp_site import RtmpSite
from rebroadcast.worker.rtmp_link import RtmpDial
from tests.rebroadcast.pushing import EPOCH, push_stages
from tests.support.promises import assert_promised
from tests.support.tls_front import Authority, TlsFront


@pytest.fixture
async def server(tmp_path):
    server = RtmpSite(tmp_path)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
async def front(server, authority):
    made = []

    async def start(name="127.0.0.1"):
        made.append(TlsFront(authority.server(name), server.port))
        await made[-1].start()
        return made[-1].port

    yield start
    for one in made:
        await one.stop()


@pytest.fixture
async def stage():
    async with push_stages() as make:

        def rtmps(port, tls):
            url = f"rtmps://127.0.0.1:{port}/live/secret-key"
            return make(lambda audio: RtmpDial(url, audio, metadata={}, tls=tls, clock=time.monotonic), port)

        yield rtmps


async def test_a_site_with_a_certificate_that_is_believed_gets_the_stream(stage, front, authority, server):
    site = stage(await front(), authority.trusting())
    await site.feed_until(lambda: site.states[-1:] == ["live"] and site.index > 30, "live")
    known = site.said[-1].bytes_acknowledged
    await site.feed_until(lambda: site.said[-1].bytes_acknowledged > known + 1000, "more bytes")
    link = site.output._link
    await site.feed_until(lambda: link.acknowledged_bytes() == link.queued_bytes, "all of it")
    await site.output.close()
    await server.stop()
    with av.open(str(server.recordings[0])) as recording:
        assert len(list(recording.decode(video=0))) > 10


@pytest.mark.parametrize("case", ["unknown authority", "another name"])
async def test_a_site_that_is_not_believed_gets_nothing_not_even_the_key(
    stage, front, authority, server, case
):
    port = await front("other.example" if case == "another name" else "127.0.0.1")
    site = stage(port, authority.trusting() if case == "another name" else None)
    await site.feed_until(lambda: "backing_off" in site.states, "the refusal")
    reason = next(message.reason for message in site.said if message.state == "backing_off")
    assert reason.startswith("TLS with 127.0.0.1 failed: ")
    assert "certificate" in reason.lower() or "mismatch" in reason.lower()
    assert "secret-key" not in reason
    assert server.recordings == []


async def test_a_cut_waits_for_every_encrypted_byte(stage, front, authority, server):
    site = stage(await front(), authority.trusting())
    await site.feed_until(lambda: site.states[-1:] == ["live"], "live")
    site.page.store_open(EPOCH, 2)
    link = site.output._link
    await site.output.cut(2)
    assert site.output._link is link
    assert link.acknowledged_bytes() >= link.queued_bytes
    assert site.output._link.backlog_bytes() == 0
    began = time.monotonic()
    await site.output.close(is_polite=False)
    assert_promised("the end", time.monotonic() - began, 0.1)
