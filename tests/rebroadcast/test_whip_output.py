"""One WHIP destination against a real WHIP server, this project's own: what it gets, how it ends."""

import asyncio
import ssl
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription

from rebroadcast.worker.encode import VideoEncoder
from rebroadcast.worker.link import Address
from rebroadcast.worker.whip.http import WhipResource
from rebroadcast.worker.whip.link import WhipDial
from tests.browser.parley import serve
from tests.rebroadcast.pushing import EPOCH, FPS, push_stages

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

ROOM = "there"


@pytest.fixture
async def there(tmp_path):
    async with serve(tmp_path / "data") as parley:
        yield parley


@pytest.fixture
async def stage():
    async with push_stages() as make:

        def whip(url, token, *, allow_private=True, codec="h264"):
            port = int(url.split(":")[2].partition("/")[0])

            def dial(audio):
                return WhipDial(
                    url,
                    token,
                    audio,
                    tls=ssl.create_default_context(),
                    allow_private=allow_private,
                    clock=time.monotonic,
                    codec=codec,
                )

            return make(dial, port)

        yield whip


def publish(stage, there, **options):
    token = there.token(ROOM, "program", grants=("join", "publish"), **options)
    return stage(f"{there.url}/whip/{ROOM}", token)


async def participants(there):
    status, page = await there.api("GET", f"/rooms/{ROOM}/participants")
    return page["items"] if status == 200 else []


async def test_a_server_gets_picture_and_sound_and_the_end(stage, there):
    site = publish(stage, there)
    await site.feed_until(lambda: "live" in site.states, "live", patience_s=30)
    (program,) = await participants(there)
    assert {track["kind"] for track in program["tracks"]} == {"audio", "video"}
    known = site.said[-1].bytes_acknowledged
    await site.feed_until(lambda: site.said[-1].bytes_acknowledged > known + 1000, "more", patience_s=30)
    assert "degraded" not in site.states
    await site.output.close()
    async with asyncio.timeout(5):
        while await participants(there):  # noqa: ASYNC110 (the state of another process)
            await asyncio.sleep(0.1)


async def first_picture(there, codec):
    """What a viewer who knows that codec alone decodes first."""
    connection = RTCPeerConnection()
    transceiver = connection.addTransceiver("video", direction="recvonly")
    known = RTCRtpReceiver.getCapabilities("video").codecs
    transceiver.setCodecPreferences([one for one in known if one.mimeType == f"video/{codec}"])
    await connection.setLocalDescription(await connection.createOffer())
    token = there.token(ROOM, "viewer", grants=("subscribe",))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    async with aiohttp.ClientSession() as http:
        url = f"{there.url}/whep/{ROOM}/program"
        async with http.post(url, data=connection.localDescription.sdp, headers=headers) as response:
            assert response.status == 201
            answer = RTCSessionDescription(await response.text(), "answer")
    await connection.setRemoteDescription(answer)
    try:
        return await transceiver.receiver.track.recv()
    finally:
        await connection.close()


async def test_vp8_goes_where_it_is_asked_for(stage, there):
    token = there.token(ROOM, "program", grants=("join", "publish"))
    site = stage(f"{there.url}/whip/{ROOM}", token, codec="vp8")
    encoder = VideoEncoder(width=320, height=180, fps=FPS, bps=300_000, codec="vp8")
    await site.feed_until(lambda: "live" in site.states, "live", encoder=encoder, patience_s=30)
    seeing = asyncio.create_task(first_picture(there, "VP8"))
    await site.feed_until(seeing.done, "a picture", encoder=encoder, patience_s=30)
    assert (seeing.result().width, seeing.result().height) == (320, 180)
    encoder.close()


async def test_a_cut_leaves_nothing_that_could_be_sent_again(stage, there):
    site = publish(stage, there)
    await site.feed_until(lambda: "live" in site.states, "live", patience_s=30)
    site.page.store_open(EPOCH, 2)
    await site.output.cut(2)
    assert site.output._link is None
    await site.feed_until(lambda: "backing_off" in site.states, "the truth")
    assert "revocation" in next(m.reason for m in site.said if m.state == "backing_off")
    assert site.output._machine._failures == 0, "nothing is wrong with the site"
    await site.feed_until(lambda: site.states[-1] == "live", "live again", patience_s=30)


async def test_a_wrong_token_is_told_and_never_shown(stage, there):
    site = stage(f"{there.url}/whip/{ROOM}", "canary-token")
    await site.feed_until(lambda: "backing_off" in site.states, "the refusal")
    reason = next(message.reason for message in site.said if message.state == "backing_off")
    assert "401" in reason
    assert "canary-token" not in reason
    assert "live" not in site.states


async def test_an_answer_that_points_to_a_private_address_is_not_followed(stage, there):
    token = there.token(ROOM, "program", grants=("join", "publish"))
    site = stage(f"{there.url}/whip/{ROOM}", token, allow_private=False)
    await site.feed_until(lambda: "backing_off" in site.states, "the refusal")
    reason = next(message.reason for message in site.said if message.state == "backing_off")
    assert "not a public address" in reason
    async with asyncio.timeout(5):
        while await participants(there):  # noqa: ASYNC110 (what was made there is taken back)
            await asyncio.sleep(0.1)


@asynccontextmanager
async def site_that(whip):
    """The URL of a site that answers a publish as `whip` does."""
    app = web.Application()
    app.router.add_post("/{path}", whip)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/whip"
    finally:
        await runner.cleanup()


async def test_a_redirect_is_refused(stage):
    asked = []

    async def whip(request):
        asked.append(request.path)
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async with site_that(whip) as url:
        output = stage(url, "token")
        await output.feed_until(lambda: "backing_off" in output.states, "the refusal")
        assert "307" in next(m.reason for m in output.said if m.state == "backing_off")
        assert set(asked) == {"/whip"}
        await output.output.close()


async def test_an_answer_that_fits_nothing_costs_that_destination_its_turn_only(stage):
    asked = []

    async def whip(request):
        asked.append(request.path)
        connection = RTCPeerConnection()
        await connection.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        answer = connection.localDescription.sdp.replace("opus/", "PCMX/")
        await connection.close()
        return web.Response(
            status=201, text=answer, content_type="application/sdp", headers={"Location": "/1"}
        )

    async with site_that(whip) as url:
        output = stage(url, "token")
        await output.feed_until(lambda: len(asked) > 1, "another attempt")
        reason = next(message.reason for message in output.said if message.state == "backing_off")
        assert "does not fit the offer" in reason
        assert not output.task.done()
        await output.output.close()


async def test_a_publish_that_the_site_has_forgotten_is_noticed_and_one_that_it_keeps_is_not(stage, there):
    site = publish(stage, there)
    await site.feed_until(lambda: "live" in site.states, "live", patience_s=30)
    resource = site.output._link._resource
    assert not await resource.is_gone()
    assert await resource._ask() == 204, "it is a whole fragment of trickled candidates"
    (person,) = await participants(there)
    status, _ = await there.api(
        "POST", f"/rooms/{ROOM}/participants/{person['identity']}/actions", {"action": "remove"}
    )
    assert status == 204
    assert await resource.is_gone()


async def test_a_site_that_never_tells_what_it_has_forgotten_is_not_taken_at_its_word():
    async def created(_request):
        return web.Response(status=201, text="v=0\r\n", headers={"Location": "/whip/1"})

    app = web.Application()
    app.router.add_post("/whip", created)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    offer = "v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 X 111\r\na=mid:0\r\n"
    tls = ssl.create_default_context()
    resource = WhipResource(f"http://127.0.0.1:{port}/whip", "", Address("127.0.0.1", port), tls)

    try:
        await resource.publish(offer)
        await resource.learn()
        assert not await resource.is_gone(), "404 is what it always says"
        await runner.cleanup()
        assert await resource.is_gone(), "nobody listens there"
    finally:
        await resource.end(is_polite=False)
        await runner.cleanup()
