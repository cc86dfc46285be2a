"""Passthrough end to end: WHIP to `parley serve`, and from there untouched to a partner's RTMP and to HLS."""

import asyncio
import contextlib
import io
import itertools
import statistics
import time

import aiohttp
import pytest

from bench.studio.decoded import colours, samples, tone_level
from bench.studio.encoded import encode_colour, encode_tone
from bench.studio.hls_player import HlsPlayer
from bench.studio.peer import RtpPeer
from bench.studio.player import RtpPlayer
from bench.studio.rtmp_site import RtmpSite
from tests.browser.parley import serve
from tests.support.figures import tell
from tests.support.h264_camera import H264Camera
from tests.support.h264_witness import RtmpWitness, slices_in, video_tags
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ROOM, KEY = "stage", "stream-key-0123456789"
SEGMENT_S = 1.0
PROMISE_MS = 250
TOKEN_S = 12
"""Long enough for a starved machine to show the camera before it is over."""
CONFIG = f"""
[broadcast]
allow_private = true
width = 640
height = 360
fps = 15
segment_s = {SEGMENT_S}
"""


class Stage:
    """A server with a partner, a room in explicit mode, and publishers by WHIP."""

    def __init__(self, stack, parley, site, http):
        self.stack, self.parley, self.site, self.http = stack, parley, site, http
        self.destinations = []

    async def api(self, method, path, body=None):
        status, answer = await self.parley.api(method, path, body)
        assert status in {200, 201, 204}, f"{method} {path}: {status} {answer}"
        return answer

    async def open(self):
        await self.api("POST", "/rooms", {"name": ROOM, "mode": "explicit"})
        self.terms = (await self.api("GET", "/terms"))["version"]
        partner = await self.api(
            "POST",
            "/partners",
            {
                "name": "Partner TV",
                "site": "partner.example",
                "policy_url": "https://partner.example/privacy",
                "terms_version": "1",
                "uses": ["live"],
            },
        )
        for body in ({"kind": "rtmp", "url": self.site.url("")[:-1], "key": KEY}, {"kind": "hls"}):
            made = await self.api("POST", "/destinations", body | {"name": "x", "partner": partner["id"]})
            self.destinations.append(made["id"])

    @contextlib.asynccontextmanager
    async def publisher(self, identity="ada", *, luma=180, hz=440, ttl_s=3600, codec="H264"):
        """Somebody who vouches for their consent, as long as the context lasts."""
        terms = {"version": self.terms, "uses": ["live"]}
        token = self.parley.token(ROOM, identity, grants=("publish",), ttl_s=ttl_s, terms=terms)
        peer = RtpPeer(f"{self.parley.url}/whip/{ROOM}", token, codec=codec)
        await peer.connect(self.http)
        if codec == "H264":
            player = H264Camera(peer, luma=luma, hz=hz)
        else:
            frames = encode_colour((200, 40, 40))
            player = RtpPlayer(peer, frames, encode_tone(hz))
        task = asyncio.create_task(player.run())
        player.peer = peer
        try:
            yield player
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await peer.close()

    async def start(self, **more):
        body = {"room": ROOM, "destinations": self.destinations, "mode": "passthrough", "publisher": "ada"}
        self.broadcast = await self.api("POST", "/broadcasts", body | more)
        await self.reaches("live")
        self.rtmp = RtmpWitness(self.site.url(KEY))
        self.stack.callback(self.rtmp.stop)
        self.hls = HlsPlayer(self.http, self.parley.url + (await self.status())["hls_url"])
        task = asyncio.create_task(self.hls.follow())
        self.stack.push_async_callback(asyncio.wait, {task})
        self.stack.callback(task.cancel)

    async def status(self):
        return await self.api("GET", f"/broadcasts/{self.broadcast['id']}")

    async def reaches(self, state):
        """Wait until every destination is in that state; the reason of the first."""

        async def is_there():
            said = (await self.status())["destinations"]
            return all(one["state"] == state for one in said) and (said[0]["reason"] or "nothing")

        return await until(is_there, f"every destination is {state}")

    async def shows(self, camera):
        """RTMP and HLS carry this camera, slice for slice, and nothing beside it but the placeholder."""

        def is_everywhere():
            newest = self.hls.newest
            return (
                self.rtmp.seen
                and self.rtmp.seen[-1][1] in camera.slices
                and newest is not None
                and set(slices_in(newest.data)) <= camera.slices
                and time.monotonic()
            )

        since = await until(is_everywhere, "the camera everywhere")

        def is_more():
            hls = [segment for segment in self.hls.since(since) if camera.shows_in(slices_in(segment.data))]
            return len(hls) >= 2 and sum(one in camera.slices for one in self.rtmp.since(since)) > 20

        await until(is_more, "more of it")
        seen = {one for segment in self.hls.since(since) for one in slices_in(segment.data)}
        # A starved publisher is stood in for: by one and the same picture.
        assert len((seen | set(self.rtmp.since(since))) - camera.slices) <= 1

    async def ends(self, camera, call, what):
        """After `call` nothing of the camera goes out, and the placeholder stands in."""
        listed = list(self.hls.listed)
        inits = {segment.init for segment in self.hls.segments.values()}
        called = time.monotonic()
        await call()
        done = time.monotonic()
        reason = await self.reaches("slate")
        mark = len(self.hls.segments)

        def is_replaced():
            return len(self.hls.segments) >= mark + 2 and len(self.rtmp.since(done)) >= 3

        await until(is_replaced, "the placeholder everywhere")
        last_rtmp = self.rtmp.last_of(camera.slices)
        after = self.hls.since(done)
        assert all(not set(slices_in(segment.data)) & camera.slices for segment in after)
        assert {await self.hls.status(name) for name in listed} == {410}
        assert not {segment.init for segment in after} & inits, "a new initialisation segment"
        assert self.hls.discontinuities >= 1
        size = colours(io.BytesIO(after[-1].data))[-1].shape
        assert size == (180, 320, 3), "the placeholder has the publisher's size"
        assert tone_level(samples(io.BytesIO(after[-1].data)), 440) < 0.005
        late_ms = (last_rtmp - called) * 1000
        served_s = max((s.at_s for s in self.hls.segments.values() if s not in after), default=called)
        served_ms = (served_s - called) * 1000
        tell(
            f"\n{what}: from call to answer {(done - called) * 1000:.0f} ms, to the last packet behind the "
            f"partner's RTMP {late_ms:.0f} ms, to the last HLS segment served {served_ms:.0f} ms"
        )
        assert late_ms <= 4 * PROMISE_MS
        return reason


@pytest.fixture
async def stage(tmp_path):
    config = tmp_path / "parley.toml"
    config.write_text(CONFIG)
    async with contextlib.AsyncExitStack() as stack:
        site = RtmpSite(tmp_path / "site")
        await site.start()
        stack.push_async_callback(site.stop)
        parley = await stack.enter_async_context(
            serve(tmp_path / "data", arguments=("--config", str(config)))
        )
        http = await stack.enter_async_context(aiohttp.ClientSession())
        made = Stage(stack, parley, site, http)
        await made.open()
        yield made


async def test_the_publishers_picture_and_sound_go_out_untouched_until_they_may_not(stage):
    async with stage.publisher() as ada:
        await stage.start()
        await stage.shows(ada)
        newest = stage.hls.newest
        assert colours(io.BytesIO(newest.data))[-1].mean() == pytest.approx(190, abs=25)
        assert tone_level(samples(io.BytesIO(newest.data)), 440) > 0.1

        async def remove():
            await stage.api("POST", f"/rooms/{ROOM}/participants/ada/actions", {"action": "remove"})

        reason = await stage.ends(ada, remove, "removed by the API")
        assert "not there" in reason
    async with stage.publisher(luma=120) as again:
        await stage.reaches("live")
        await stage.shows(again)

        async def leave():
            await again.peer.close(stage.http)

        await stage.ends(again, leave, "left by DELETE")
    await stage.api("POST", f"/broadcasts/{stage.broadcast['id']}/stop")
    await stage.site.stop()
    assert len(stage.site.recordings) == 1, "one session of the partner's, for all that happened"
    tags = video_tags(stage.site.recordings[0])
    headers = [tag.header for tag in tags if tag.header is not None]
    assert len(headers) >= 4, "a sequence header at each change: ada, placeholder, ada, placeholder"
    assert all(one != other for one, other in itertools.pairwise(headers))
    assert len(set(headers)) == 2
    assert headers[0][1:3] == headers[1][1:3], "the placeholder has the publisher's profile"
    assert [tag.at_ms for tag in tags] == sorted(tag.at_ms for tag in tags)


async def test_a_token_that_ends_and_a_room_that_forbids_take_the_picture_away(stage):
    async with stage.publisher(ttl_s=TOKEN_S) as ada:
        began = time.monotonic()
        await stage.start()
        await stage.shows(ada)

        async def expire():
            await asyncio.sleep(max(began + TOKEN_S + 0.2 - time.monotonic(), 0))

        listed = list(stage.hls.listed)
        await expire()
        await stage.reaches("slate")
        assert stage.rtmp.last_of(ada.slices) - began < TOKEN_S + 4 * PROMISE_MS / 1000
        assert {await stage.hls.status(name) for name in listed} == {410}
    async with stage.publisher(luma=120) as again:
        await stage.reaches("live")
        await stage.shows(again)

        async def forbid():
            await stage.api("PATCH", f"/rooms/{ROOM}", {"uses": ["record"]})

        await stage.ends(again, forbid, "the room forbids it")
        await stage.api("PATCH", f"/rooms/{ROOM}", {"uses": ["live", "record"]})
        await stage.reaches("live")
        await stage.shows(again)


async def test_others_may_come_and_go_without_touching_it(stage):
    async with stage.publisher() as ada, stage.publisher("bob", luma=60, hz=880) as bob:
        await stage.start()
        await stage.shows(ada)
        await bob.peer.close(stage.http)
        await stage.shows(ada)
        gaps = [after - before for before, after in itertools.pairwise(ada.requested_s)][-5:]
        assert statistics.median(gaps) == pytest.approx(SEGMENT_S, abs=0.3), "keyframes on the segment clock"
    assert not {one for _, one in stage.rtmp.seen} & (bob.slices - ada.slices)
    assert stage.hls.discontinuities == 0


async def test_a_start_that_cannot_be_says_how_to_mend_it_and_changes_nothing(stage):
    async with stage.publisher("vic", codec="VP8"), stage.publisher("ada"):

        async def vp8_is_seen():
            people = (await stage.api("GET", f"/rooms/{ROOM}/participants"))["items"]
            codecs = {track["codec"] for person in people for track in person["tracks"]}
            return {"vp8", "h264"} <= codecs

        await until(vp8_is_seen, "packets of both")
        body = {"room": ROOM, "destinations": stage.destinations, "mode": "passthrough"}
        for more, status, code, words in (
            ({}, 422, "unprocessable", "publisher"),
            ({"publisher": "ada", "mode": "program"}, 422, "unprocessable", "passthrough"),
            ({"publisher": "nobody"}, 404, "not_found", "nobody called 'nobody' is in the room"),
            ({"publisher": "vic"}, 422, "unsupported_codec", "H.264"),
            ({"publisher": " "}, 422, "unprocessable", "identity"),
            ({"publisher": 7}, 422, "unprocessable", "publisher"),
            ({"publisher": "ada", "mode": "copy"}, 422, "unprocessable", "mode"),
            ({"publisher": "ada", "destinations": []}, 422, "unprocessable", "destination"),
            ({"publisher": "ada", "destinations": ["dst_none"]}, 403, "forbidden", "dst_none"),
            ({"publisher": "ada", "room": "nowhere"}, 404, "not_found", "nowhere"),
        ):
            answer = await stage.parley.api("POST", "/broadcasts", body | more)
            assert (answer[0], answer[1]["code"]) == (status, code), answer
            assert words in answer[1]["detail"]
        assert (await stage.api("GET", "/broadcasts"))["items"] == []
        assert (await stage.api("GET", f"/rooms/{ROOM}"))["activities"] == []
        assert not stage.site.recordings


async def test_who_comes_back_without_a_grant_stays_out(stage):
    async with stage.publisher() as ada:
        await stage.start()
        await stage.shows(ada)
        ada.stop()
        assert await stage.reaches("slate") == "nothing comes of the publisher's camera"
        await ada.peer.close(stage.http)
    token = stage.parley.token(ROOM, "ada", grants=("publish",))
    with pytest.raises(RuntimeError, match="403"):
        await RtpPeer(f"{stage.parley.url}/whip/{ROOM}", token, codec="H264").connect(stage.http)

    async def is_told():
        return "not agreed" in await stage.reaches("slate")

    await until(is_told, "that she has not agreed")
