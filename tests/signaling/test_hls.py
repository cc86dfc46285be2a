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
        link = signed_url(b"h" * 32, "bc_1", "dst_1", now=time.time(), ttl_s=60)
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
        good = signed_url(b"h" * 32, "bc_1", "dst_1", now=time.time(), ttl_s=60)
        late = signed_url(b"h" * 32, "bc_1", "dst_1", now=time.time() - 100, ttl_s=60)
        other = signed_url(b"h" * 32, "bc_2", "dst_1", now=time.time(), ttl_s=60)
        elsewhere = signed_url(b"h" * 32, "bc_1", "dst_2", now=time.time(), ttl_s=60)
        forged = signed_url(b"x" * 32, "bc_1", "dst_1", now=time.time(), ttl_s=60)
        longer = re.sub(r"expires=\d+", lambda found: found.group() + "0", good)
        for link in (
            "/live/bc_1/index.m3u8",
            late,
            forged,
            longer,
            other.replace("bc_2", "bc_1"),
            elsewhere.replace("dst_2", "dst_1"),
            good[:-1],
            good.replace("expires=", "expires=\u0663"),
            "/live/bc_1/seg_7.m4s",
            "/live/bc_1/index.m3u8?expires=1e9&sig=x",
        ):
            status, problem = await house.get(link)
            assert (status, problem["code"]) == (403, "forbidden"), link
            assert ("has expired" in problem["detail"]) == (link == late), link


async def test_a_link_of_a_destination_that_is_served_no_more_is_gone(store: Hls) -> None:
    async with rig(hls=store) as house:
        link = signed_url(b"h" * 32, "bc_1", "dst_2", now=time.time(), ttl_s=60)
        assert (await house.get(link))[0] == 410


async def test_a_player_on_any_site_may_read_the_answer_and_why_there_is_none(store: Hls) -> None:
    async with rig(hls=store) as house:
        good = signed_url(b"h" * 32, "bc_1", "dst_1", now=time.time(), ttl_s=60)
        query = good.partition("?")[2]
        for link, status in (
            (good, 200),
            (f"/live/bc_1/seg_6.m4s?{query}", 410),
            (f"/live/bc_1/seg_9.m4s?{query}", 404),
            ("/live/bc_1/index.m3u8", 403),
        ):
            async with house.http.get(house.url + link, headers={"Origin": "https://tv.example"}) as response:
                assert response.status == status
                assert response.headers["Access-Control-Allow-Origin"] == "*"
                assert response.headers["Cache-Control"] == "no-store"
                if status != 200:
                    assert response.content_type == "application/problem+json"


@pytest.mark.parametrize("name", ["chat.srt", "seg_7.ts", "seg_7.m4s.ts", "seg_7", ".m3u8", "index.m3u8%00"])
async def test_a_name_of_a_kind_that_is_not_made_is_not_found(store: Hls, name: str) -> None:
    async with rig(hls=store) as house:
        query = signed_url(b"h" * 32, "bc_1", "dst_1", now=time.time(), ttl_s=60).partition("?")[2]
        assert (await house.get(f"/live/bc_1/{name}?{query}"))[0] == 404


def test_links_that_have_parameters_keep_them() -> None:
    assert with_parameters(b"a.m4s?x=1\n", b"q=2") == b"a.m4s?x=1\n"
    assert with_parameters(PLAYLIST.replace(b"\n", b"\r\n"), b"q=2").count(b"?q=2") == 2


async def test_a_player_waits_for_what_it_asks_for_in_advance(store: Hls) -> None:
    async with rig(hls=store) as house:
        link = signed_url(b"h" * 32, "bc_1", "dst_1", now=time.time(), ttl_s=60)
        assert (await house.get(f"{link}&_HLS_msn=7&_HLS_part=2"))[0] == 200
        assert store.waited == [("index.m3u8", 7, 2)]
        assert (await house.get(f"{link}&_HLS_msn=99"))[0] == 503
        for wrong in ("_HLS_msn=x", "_HLS_msn=1e3", "_HLS_msn=\u0663", "_HLS_msn=7&_HLS_part=-1"):
            assert (await house.get(f"{link}&{wrong}"))[0] == 422, wrong
