"""Signed links to playlists and segments."""

import re
import time

import pytest

from signaling.hls import signed_url, with_parameters
from tests.signaling.rig import rig
from tests.signaling.services import Hls

PLAYLIST = b'#EXTM3U\n#EXT-X-MAP:URI="init_1.mp4"\n#EXTINF:2.0,\nseg_7.m4s\n'


@pytest.fixture
def store() -> Hls:
    return Hls(
        {("bc_1", "index.m3u8"): PLAYLIST, ("bc_1", "seg_7.m4s"): b"media", ("bc_1", "seg_6.m4s"): "gone"}
    )


async def test_a_signed_link_plays_and_its_playlists_links_carry_it_on(store: Hls) -> None:
    async with rig(hls=store) as house:
        link = signed_url(b"h" * 32, "bc_1", now=time.time(), ttl_s=60)
        async with house.http.get(house.url + link) as response:
            assert response.status == 200
            assert response.content_type == "application/vnd.apple.mpegurl"
            assert response.headers["Cache-Control"] == "no-store"
            playlist = await response.text()
        segment = next(line for line in playlist.splitlines() if line.startswith("seg_"))
        assert (await house.get(f"/live/bc_1/{segment}"))[1] == "media"
        query = segment.partition("?")[2]
        assert f'URI="init_1.mp4?{query}"' in playlist
        assert (await house.get(f"/live/bc_1/seg_6.m4s?{query}"))[0] == 410
        assert (await house.get(f"/live/bc_1/seg_9.m4s?{query}"))[0] == 404
        assert (await house.get(f"/live/bc_1/..%2fx.m4s?{query}"))[0] in {403, 404}


async def test_a_link_that_is_not_ours_or_not_of_now_does_not_play(store: Hls) -> None:
    async with rig(hls=store) as house:
        good = signed_url(b"h" * 32, "bc_1", now=time.time(), ttl_s=60)
        late = signed_url(b"h" * 32, "bc_1", now=time.time() - 100, ttl_s=60)
        other = signed_url(b"h" * 32, "bc_2", now=time.time(), ttl_s=60)
        forged = signed_url(b"x" * 32, "bc_1", now=time.time(), ttl_s=60)
        longer = re.sub(r"expires=\d+", lambda found: found.group() + "0", good)
        for link in (
            "/live/bc_1/index.m3u8",
            late,
            forged,
            longer,
            other.replace("bc_2", "bc_1"),
            good[:-1],
            good.replace("expires=", "expires=\u0663"),
            "/live/bc_1/seg_7.m4s",
            "/live/bc_1/index.m3u8?expires=1e9&sig=x",
        ):
            assert (await house.get(link))[0] == 403, link


def test_links_that_have_parameters_keep_them() -> None:
    assert with_parameters(b"a.m4s?x=1\n", b"q=2") == b"a.m4s?x=1\n"
    assert with_parameters(PLAYLIST.replace(b"\n", b"\r\n"), b"q=2").count(b"?q=2") == 2
