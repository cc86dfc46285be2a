"""HLS of real broadcasts over HTTP: a signed link opens its own broadcast, while it runs, nothing else."""

import asyncio
import re
import time

import aiohttp
import pytest

from tests.browser.parley import serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

CONFIG = """
[broadcast]
width = 160
height = 90
fps = 5
segment_s = 1.0
"""


def media(broadcast):
    return broadcast["hls_url"].replace("index.m3u8", "video.m3u8")


async def test_a_link_opens_its_own_broadcast_while_it_runs(tmp_path):
    config = tmp_path / "parley.toml"
    config.write_text(CONFIG)
    async with (
        serve(tmp_path / "data", arguments=("--config", str(config))) as parley,
        aiohttp.ClientSession() as http,
    ):

        async def api(method, path, body=None):
            status, answer = await parley.api(method, path, body)
            assert status in {200, 201}, answer
            return answer

        async def get(link):
            async with http.get(parley.url + link) as response:
                return response.status, await response.read()

        await api("POST", "/rooms", {"name": "stage"})
        partner = {
            "name": "Partner",
            "site": "partner.example",
            "policy_url": "https://partner.example/privacy",
            "terms_version": "1",
            "uses": ["live"],
        }
        partner_id = (await api("POST", "/partners", partner))["id"]
        hls = (await api("POST", "/destinations", {"name": "Web", "partner": partner_id, "kind": "hls"}))[
            "id"
        ]
        one, two = [
            await api("POST", "/broadcasts", {"room": "stage", "destinations": [hls]}) for _ in range(2)
        ]
        deadline = time.monotonic() + 30
        while b"#EXTINF" not in (await get(media(one)))[1] or b"#EXTINF" not in (await get(media(two)))[1]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        status, playlist = await get(media(one))
        query = one["hls_url"].partition("?")[2]
        (init,) = re.findall(r'EXT-X-MAP:URI="([^"]+)"', playlist.decode())
        segment = next(line for line in playlist.decode().splitlines() if line.startswith("seg-"))
        folder = f"/live/{one['id']}"
        assert status == 200
        assert [(await get(f"{folder}/{name}"))[0] for name in (init, segment)] == [200, 200]
        for link, expected in (
            (f"/live/{two['id']}/index.m3u8?{query}", 403),
            (f"/live/bc_none/index.m3u8?{query}", 403),
            (f"{folder}/index.m3u8", 403),
            (f"{folder}/index.m3u8?{query[:-1]}", 403),
            (f"{folder}/index.m3u8?{query.replace('expires=1', 'expires=2')}", 403),
            (f"{folder}/{segment.partition('?')[0]}", 403),
            (f"{folder}/seg-999999.m4s?{query}", 404),
            (f"{folder}/init-999.mp4?{query}", 404),
        ):
            assert (await get(link))[0] == expected, link
        await api("POST", f"/broadcasts/{one['id']}/stop")
        for name in ("index.m3u8", "seg-0.m4s", "init-0.mp4"):
            assert (await get(f"{folder}/{name}?{query}"))[0] == 410
        assert (await get(two["hls_url"]))[0] == 200
