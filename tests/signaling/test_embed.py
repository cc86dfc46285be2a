"""Signed links of embeds: who gets a token for one, whose pages may frame it, and what oEmbed says."""

import re
import time
from pathlib import Path

import pytest

from policy import Permission
from signaling import KeyRing, TokenError, mint
from signaling.embed import EmbedLink, embed_path
from signaling.rest import BASE
from tests.signaling.rig import KEY, offer
from tests.signaling.services import everything

ORIGIN = "https://tv.example"
PARTNER = {
    "name": "TV",
    "site": "tv.example",
    "policy_url": "https://tv.example/privacy",
    "uses": ["live"],
    "terms_version": "1",
    "origins": [ORIGIN],
}
SECRET = b"h" * 32
KEYS = KeyRing([KEY])


async def made(house, **more):
    """A partner and a link of it: its id, the view of the embed, the link's path."""
    _, partner = await house.request("POST", f"{BASE}/partners", json=PARTNER, headers=house.admin())
    body = {"partner": partner["id"], "ttl_s": 60, **more}
    status, view = await house.request("POST", f"{BASE}/rooms/demo/embeds", json=body, headers=house.admin())
    assert status == 201, view
    return partner["id"], view, view["url"].removeprefix(house.url)


def token_path(path):
    return path.replace("?", "/token?", 1)


async def test_a_link_is_framed_by_the_partners_pages_and_opens_a_token_of_a_viewer_there(
    tmp_path: Path,
) -> None:
    async with everything(tmp_path) as house:
        partner, view, path = await made(house)
        async with house.http.get(house.url + path) as response:
            assert response.status == 200
            policy = response.headers["Content-Security-Policy"]
            assert policy.endswith(f"frame-ancestors {ORIGIN}")
        status, answer = await house.request("POST", token_path(path), headers={"Origin": house.url})
        assert status == 200
        assert answer["origins"] == [ORIGIN]
        assert answer["expires_at"] <= view["expires_at"]
        claims = KEYS.verify(answer["token"], time.time())
        assert (claims.room, claims.partner, claims.is_external) == ("demo", partner, True)
        assert claims.permissions == {Permission.SUBSCRIBE}


async def test_only_the_page_itself_gets_the_token(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        _, _, path = await made(house)
        for headers in ({}, {"Origin": ORIGIN}, {"Origin": "null"}):
            assert (await house.request("POST", token_path(path), headers=headers))[0] == 403


async def test_a_link_that_is_not_ours_or_not_of_now_opens_nothing(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        partner, _, good = await made(house)
        now = int(time.time())
        late = embed_path(SECRET, EmbedLink("demo", partner, now - 1))
        for path in (
            late,
            embed_path(b"x" * 32, EmbedLink("demo", partner, now + 60)),
            embed_path(SECRET, EmbedLink("demo", "par_none", now + 60)),
            good.replace("/demo?", "/other?"),
            good.replace(f"for={partner}", "for=par_2"),
            re.sub(r"expires=\d+", lambda found: found.group() + "0", good),
            good[:-1],
            "/embed/demo?for=&expires=&sig=",
        ):
            assert (await house.get(path))[0] == 403, path
            status, _ = await house.request("POST", token_path(path), headers={"Origin": house.url})
            assert status == 403, path


async def test_a_blocked_partners_links_open_nothing(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        partner, _, path = await made(house)
        await house.request("POST", f"{BASE}/partners/{partner}/block", headers=house.admin())
        assert (await house.get(path))[0] == 403
        status, _ = await house.request("POST", token_path(path), headers={"Origin": house.url})
        assert status == 403
        body = {"partner": partner}
        _, problem = await house.request(
            "POST", f"{BASE}/rooms/demo/embeds", json=body, headers=house.admin()
        )
        assert problem["code"] == "forbidden"


async def test_a_viewer_who_comes_in_while_the_partner_is_blocked_is_let_out_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with everything(tmp_path) as house:
        partner, _, path = await made(house)
        _, answer = await house.request("POST", token_path(path), headers={"Origin": house.url})
        join = house.services.rooms.join

        async def blocked_meanwhile(request):
            participant = await join(request)
            status, _ = await house.request("POST", f"{BASE}/partners/{partner}/block", headers=house.admin())
            assert status == 200
            return participant

        monkeypatch.setattr(house.services.rooms, "join", blocked_meanwhile)
        headers = {"Authorization": f"Bearer {answer['token']}", "Content-Type": "application/sdp"}
        status, problem = await house.request(
            "POST", "/whep/demo", data=offer("chromium-offer-recvonly-av"), headers=headers
        )
        assert (status, problem["code"]) == (403, "forbidden")
        assert house.services.rooms.room("demo").viewers == {}


async def test_a_link_lives_no_longer_than_the_token_it_was_made_with(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        partner, _, _ = await made(house)
        own = house.bearer("b", permissions=(Permission.BROADCAST,))
        body = {"partner": partner, "ttl_s": 7_000_000}
        _, view = await house.request("POST", f"{BASE}/rooms/demo/embeds", json=body, headers=own)
        assert view["expires_at"] <= time.time() + 24 * 3600
        status, _ = await house.request("POST", f"{BASE}/rooms/other/embeds", json=body, headers=own)
        assert status == 403


async def test_oembed_describes_a_link_of_ours_and_nothing_else(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        _, view, _ = await made(house)
        _, answer = await house.get(view["oembed_url"].removeprefix(house.url))
        assert (answer["type"], answer["version"]) == ("video", "1.0")
        assert (answer["width"], answer["height"]) == (640, 360)
        assert view["url"].replace("&", "&amp;") in answer["html"]
        small = (await house.get(view["oembed_url"].removeprefix(house.url) + "&maxwidth=320"))[1]
        assert (small["width"], small["height"]) == (320, 180)
        assert (await house.get(view["oembed_url"].removeprefix(house.url) + "&format=xml"))[0] == 501
        for url in ("", "https://elsewhere.example/embed/demo", f"{house.url}/r/demo", "http://[::1"):
            assert (await house.get(f"/oembed?url={url}"))[0] == 404, url


def test_a_token_says_its_partner_only_for_viewers_outside() -> None:
    now = time.time()
    more = {"identity": "x", "room": "demo", "permissions": (Permission.SUBSCRIBE,), "now": now, "ttl_s": 60}
    token = mint(KEY, **more, is_external=True, partner="par_1")
    assert KEYS.verify(token, now).partner == "par_1"
    with pytest.raises(TokenError, match="partner"):
        mint(KEY, **more, partner="par_1")
