"""HLS over HTTP as players use it: ffmpeg plays all renditions, low-latency players are answered in time."""

import asyncio
import re
import shutil
import time

import aiohttp
import pytest

from bench.studio.hls_player import HlsPlayer
from tests.browser.parley import serve
from tests.support.promises import STARVED_FACTOR, assert_promised

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

CONFIG = """
[broadcast]
width = 160
height = 90
fps = 15
segment_s = 1.0
"""
PARTNER = {
    "name": "Partner",
    "site": "partner.example",
    "policy_url": "https://partner.example/privacy",
    "terms_version": "1",
    "uses": ["live"],
}


async def made(parley, path, body):
    """What the server answers with."""
    status, answer = await parley.api("POST", path, body)
    assert status in {200, 201}, answer
    return answer


@pytest.fixture
async def link(tmp_path):
    """The address of a running broadcast's playlist."""
    config = tmp_path / "parley.toml"
    config.write_text(CONFIG)
    async with serve(tmp_path / "data", arguments=("--config", str(config))) as parley:

        async def api(path, body):
            status, answer = await parley.api("POST", path, body)
            assert status == 201, answer
            return answer

        await api("/rooms", {"name": "stage"})
        partner = (await api("/partners", PARTNER))["id"]
        hls = (await api("/destinations", {"name": "Web", "partner": partner, "kind": "hls"}))["id"]
        broadcast = await api("/broadcasts", {"room": "stage", "destinations": [hls]})
        address = parley.url + broadcast["hls_url"]
        async with aiohttp.ClientSession() as http:
            deadline = time.monotonic() + 30
            while "#EXTINF" not in await text(http, address.replace("index.m3u8", "video.m3u8")):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
        yield address


async def text(http, url):
    async with http.get(url) as response:
        return await response.text() if response.status == 200 else ""


async def test_ffmpeg_plays_picture_and_sound(link):
    process = await asyncio.create_subprocess_exec(
        shutil.which("ffmpeg"),
        *("-nostdin", "-v", "info", "-i", link, "-t", "4", "-map", "0", "-f", "null", "-"),
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(40):
        _, said = await process.communicate()
    said = said.decode()
    assert process.returncode == 0, said[-2000:]
    for stream in ("Video: h264", "Audio: aac"):
        assert stream in said, said[-3000:]
    assert int(re.findall(r"frame=\s*(\d+)", said)[-1]) > 60 / STARVED_FACTOR
    assert not re.search(r"error while|invalid|non monoton", said, re.IGNORECASE), said[-3000:]


async def test_subtitles_go_along_with_the_segments_of_the_picture(link):
    async with aiohttp.ClientSession() as http:
        assert 'TYPE=SUBTITLES,GROUP-ID="chat"' in await text(http, link)
        chat = await text(http, link.replace("index.m3u8", "chat.m3u8"))
        names = [line for line in chat.splitlines() if line.startswith("chat-")]
        assert names
        async with http.get(f"{link.rpartition('/')[0]}/{names[-1]}") as response:
            assert response.content_type == "text/vtt"
            assert (await response.text()).startswith("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,")


async def test_a_player_that_asks_in_advance_is_answered_when_it_is_there(link):
    media = link.replace("index.m3u8", "video.m3u8")
    async with aiohttp.ClientSession() as http:
        playlist = await text(http, media)
        number, part = re.search(r'PRELOAD-HINT:TYPE=PART,URI="seg-(\d+)-(\d+)', playlist).groups()
        began = time.monotonic()
        newer = await text(http, f"{media}&_HLS_msn={number}&_HLS_part={part}")
        assert_promised("the next part", time.monotonic() - began, 0.4)
        assert f"seg-{number}-{part}.m4s" in newer.partition("PRELOAD-HINT")[0]
        hint = re.search(r'PRELOAD-HINT:TYPE=PART,URI="([^"]+)"', newer)[1]
        async with http.get(media.rpartition("/")[0] + "/" + hint) as response:
            assert (response.status, (await response.read())[4:8]) == (200, b"moof")
        whole = await text(http, f"{media}&_HLS_msn={int(number) + 1}")
        assert f"seg-{int(number) + 1}.m4s" in whole
        async with http.get(f"{media}&_HLS_msn={int(number) + 50}") as response:
            assert response.status == 503
        durations = [float(found) for found in re.findall(r"EXT-X-PART:DURATION=([\d.]+)", whole)]
        target = float(re.search(r"PART-TARGET=([\d.]+)", whole)[1])
        assert max(durations) <= target + 1e-3


async def test_a_player_goes_on_while_other_destinations_come_and_go_and_their_partner_is_blocked(tmp_path):
    config = tmp_path / "parley.toml"
    config.write_text(CONFIG)
    async with (
        serve(tmp_path / "data", arguments=("--config", str(config))) as parley,
        aiohttp.ClientSession() as http,
    ):
        await made(parley, "/rooms", {"name": "stage"})
        other = PARTNER | {"name": "Other", "site": "other.example"}
        mine, theirs = [(await made(parley, "/partners", one))["id"] for one in (PARTNER, other)]

        async def destination(partner, **more):
            body = {"name": "Web", "partner": partner, "kind": "hls"}
            return (await made(parley, "/destinations", body | more))["id"]

        large = await destination(theirs)
        small = await destination(mine, encodings=[{"height": 90, "fps": 10}])
        late = await destination(mine, encodings=[{"height": 90, "fps": 5}])
        chosen = {"room": "stage", "destinations": [large, small]}
        broadcast = (await made(parley, "/broadcasts", chosen))["id"]

        async def links():
            _, told = await parley.api("GET", f"/broadcasts/{broadcast}")
            sinks = [one for one in told["destinations"] if one["hls_url"]]
            return {one["destination"]: parley.url + one["hls_url"] for one in sinks}

        addresses = await links()
        player, gone = (HlsPlayer(http, addresses[one]) for one in (small, large))

        async def plays(count):
            """Until that many more segments came."""
            count += len(player.segments)
            async with asyncio.timeout(30):
                while len(player.segments) < count:
                    await player.look()
                    await asyncio.sleep(0.05)

        await plays(3)
        await gone.look()
        old = list(player.listed)
        for _ in range(2):
            await made(parley, f"/broadcasts/{broadcast}/destinations", {"destination": late})
            await plays(2)
            status, _ = await parley.api("DELETE", f"/broadcasts/{broadcast}/destinations/{late}")
            assert status in {200, 204}
            await plays(1)
        await made(parley, f"/partners/{theirs}/block", {})
        await plays(3)

        assert {await gone.status(name) for name in (*gone.listed, "index.m3u8")} == {410}
        numbers = [int(name.rpartition("-")[2].removesuffix(".m4s")) for name in player.segments]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert len({segment.init for segment in player.segments.values()}) == 1
        assert player.discontinuities == 0
        assert "#EXT-X-TARGETDURATION:1\n" in await text(http, player.playlist_url)
        assert [await player.status(name) for name in old] == [200] * len(old)
