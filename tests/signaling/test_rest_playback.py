"""The page of a recording: who may look, what its links give, links for viewers."""

import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from policy import Permission
from signaling.rest import BASE
from signaling.tokens import TokenError, mint
from signaling.viewing import TTL_S, Viewing
from tests.signaling.rig import KEY
from tests.signaling.services import everything


async def recorded(house: Any, own: dict[str, str]) -> str:
    """A finished recording of the room with a film of what was recorded, and one for viewers."""
    _, made = await house.request("POST", f"{BASE}/recordings", json={"room": "demo"}, headers=own)
    base = f"{BASE}/recordings/{made['id']}"
    await house.request("POST", f"{base}/stop", headers=own)
    for use in ("record", "replay"):
        await house.request("POST", f"{base}/renditions", json={"use": use}, headers=own)
    return base


async def test_whoever_may_record_sees_what_was_recorded_with_links_that_need_no_token(
    tmp_path: Path,
) -> None:
    async with everything(tmp_path) as house:
        own = house.bearer("rec", permissions=(Permission.RECORD,), ttl_s=2 * TTL_S)
        base = await recorded(house, own)
        status, shown = await house.get(f"{base}/playback", headers=own)
        assert (status, shown["use"], shown["room"], shown["hidden"]) == (200, "record", "demo", 1)
        assert shown["people"] == [
            {
                "person": "per_1",
                "name": "Ada",
                "spans": [{"from_ms": 0, "to_ms": 9000}],
                "sources": ["camera"],
                "screens": [{"from_ms": 2000, "to_ms": 3000}],
            }
        ]
        assert [film["use"] for film in shown["renditions"]] == ["record", "replay"]
        assert abs(shown["expires_at"] - time.time() - TTL_S) < 60
        film = shown["renditions"][0]
        async with house.http.get(house.url + film["url"], headers={"Range": "bytes=1-2"}) as answer:
            assert (answer.status, await answer.read()) == (206, b"il")
            assert "Content-Disposition" not in answer.headers
            assert answer.headers["Cache-Control"] == "private, no-store"
        assert await house.get(film["poster_url"]) == (200, "poster")
        _, index = await house.get(film["stills_url"])
        sheet = re.search(r"(?m)^(stills-000\.jpg\?\S+)#xywh=0,0,160,90$", index)
        assert sheet is not None
        folder = film["stills_url"].partition("stills.vtt")[0]
        assert await house.get(folder + sheet[1]) == (200, "tiles")


async def test_chat_comes_in_pages(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        own = house.bearer("rec", permissions=(Permission.RECORD,))
        base = await recorded(house, own)
        _, page = await house.get(f"{base}/chat?limit=2", headers=own)
        assert ([line["text"] for line in page["items"]], page["next"]) == (["line 0", "line 1"], "2")
        _, page = await house.get(f"{base}/chat?limit=2&after=2", headers=own)
        assert ([line["text"] for line in page["items"]], page["next"]) == (["line 2"], None)
        for wrong in ("after=x", "after=-1", "limit=0"):
            assert (await house.get(f"{base}/chat?{wrong}", headers=own))[0] == 422


async def test_a_viewers_link_opens_one_recording_in_the_replay_alone(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        own = house.bearer("rec", permissions=(Permission.RECORD,))
        base, other = await recorded(house, own), await recorded(house, own)
        status, link = await house.request("POST", f"{base}/links", json={"ttl_s": 600}, headers=own)
        assert status == 201
        assert 590 <= link["expires_at"] - time.time() <= 601
        url = urlsplit(link["url"])
        assert (url.path, url.query) == (base.removeprefix(BASE), "")
        assert url.fragment == f"token={link['token']}"
        viewer = {"Authorization": f"Bearer {link['token']}"}
        _, shown = await house.get(f"{base}/playback", headers=viewer)
        assert (shown["use"], [film["use"] for film in shown["renditions"]]) == ("replay", ["replay"])
        assert shown["people"][0]["sources"] == []
        assert (await house.get(f"{base}/chat", headers=viewer))[0] == 200
        _, page = await house.get(f"{BASE}/recordings", headers=viewer)
        assert [item["id"] for item in page["items"]] == [base.rpartition("/")[2]]
        for path in (f"{other}/playback", f"{other}/chat", other):
            assert (await house.get(path, headers=viewer))[0] == 404
        for method, path in (
            ("GET", f"{base}/files"),
            ("GET", f"{base}/renditions"),
            ("POST", f"{base}/renditions"),
            ("POST", f"{base}/links"),
            ("POST", f"{base}/stop"),
            ("DELETE", base),
        ):
            assert (await house.request(method, path, headers=viewer, json={}))[0] == 403, path
        _, everything_ = await house.get(f"{base}/playback", headers=own)
        recorded_only = next(film for film in everything_["renditions"] if film["use"] == "record")
        as_viewer = shown["renditions"][0]["url"].replace(shown["renditions"][0]["id"], recorded_only["id"])
        assert (await house.get(as_viewer))[0] == 404


async def test_a_link_lives_no_longer_than_the_token_it_was_made_with(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        own = house.bearer("rec", permissions=(Permission.RECORD,), ttl_s=120)
        base = await recorded(house, own)
        _, link = await house.request("POST", f"{base}/links", json={}, headers=own)
        assert link["expires_at"] - time.time() <= 121
        _, shown = await house.get(f"{base}/playback", headers=own)
        assert shown["expires_at"] - time.time() <= 121
        for wrong in (59, 86_401):
            status, _ = await house.request("POST", f"{base}/links", json={"ttl_s": wrong}, headers=own)
            assert status == 422


async def test_links_that_were_changed_or_have_expired_give_nothing(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        own = house.bearer("rec", permissions=(Permission.RECORD,))
        base = await recorded(house, own)
        recording = base.rpartition("/")[2]
        _, shown = await house.get(f"{base}/playback", headers=own)
        url = shown["renditions"][0]["url"]
        assert (await house.get(url))[0] == 200
        for wrong in (
            url.replace("use=record", "use=replay"),
            url.replace("expires=", "expires=9"),
            url.replace("expires=", "expires=x"),
            url[:-1] + ("0" if url[-1] != "0" else "1"),
            url.partition("?")[0],
            url.replace(recording, "rec_other"),
            url.replace("sig=", "sig=%C3%A9"),
        ):
            status, problem = await house.get(wrong)
            assert (status, problem["code"]) == (403, "forbidden"), wrong
        for missing in ("rendition.webm", "rendition.json", "..%2fpicture.mp4", "%00.mp4"):
            assert (await house.get(url.replace("rendition.mp4", missing)))[0] == 404, missing
        past = Viewing(recording, "record", int(time.time()) - 1)
        status, problem = await house.get(past.url(b"h" * 32, shown["renditions"][0]["id"], "rendition.mp4"))
        assert (status, problem["code"]) == (403, "forbidden")


@pytest.mark.parametrize("grants", [(Permission.WATCH, Permission.RECORD), (Permission.RECORD,), ()])
def test_the_claim_recording_belongs_to_watch_alone(grants: tuple[Permission, ...]) -> None:
    with pytest.raises(TokenError, match="watch alone"):
        mint(KEY, identity="v", room="demo", permissions=grants, now=time.time(), ttl_s=60, recording="rec_1")


async def test_whoever_may_neither_record_nor_watch_sees_nothing(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        own = house.bearer("rec", permissions=(Permission.RECORD,))
        base = await recorded(house, own)
        for headers, status in (
            ({}, 401),
            (house.bearer("ada"), 403),
            (house.bearer("rec", room="other", permissions=(Permission.RECORD,)), 404),
        ):
            for path in ("playback", "chat"):
                assert (await house.get(f"{base}/{path}", headers=headers))[0] == status


async def test_the_pages_are_there_for_everyone_and_tell_nothing(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        for path in ("/recordings", "/recordings/rec_1", "/recordings/nothing"):
            async with house.http.get(house.url + path) as answer:
                assert (answer.status, answer.content_type) == (200, "text/html")
                assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
                assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
