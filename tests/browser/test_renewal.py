"""Tokens that end in the middle of a session: renewed by the embedder's function or URL, or not at all."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import jwt
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.browser.page import until
from tests.browser.parley import Parley, serve
from tests.browser.people import pass_door

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browser"),
]

SHORT_S = 4


@dataclass
class Embedder:
    """Another site's server: it knows the API key and answers whoever still has a token of it."""

    url: str = ""
    parley: Parley | None = None
    renewals: list[str] = field(default_factory=list)

    async def renew(self, request: web.Request) -> web.Response:
        """Check the token in force, and mint the next one."""
        assert self.parley is not None
        headers = {
            "Access-Control-Allow-Origin": self.parley.url,
            "Access-Control-Allow-Headers": "authorization",
        }
        if request.method == "OPTIONS":
            return web.Response(headers=headers)
        key = json.loads((self.parley.data_dir / "dev-key.json").read_text())
        claims = jwt.decode(
            request.headers["Authorization"].removeprefix("Bearer "), key["secret"], algorithms=[key["alg"]]
        )
        self.renewals.append(claims["sub"])
        token = self.parley.token(claims["room"], claims["sub"], grants=claims["grants"], ttl_s=600)
        return web.json_response({"token": token}, headers=headers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedder() -> AsyncIterator[Embedder]:
    """A site of another origin, with pages of its own."""
    site = Embedder()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>App</title>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/renew", site.renew)
    app.router.add_get("/", page)
    async with TestServer(app) as server:
        site.url = str(server.make_url("/")).rstrip("/")
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> AsyncIterator[Parley]:
    """A server that lists the embedder's origin."""
    environment = {"PARLEY_WEB_ORIGINS": embedder.url}
    async with serve(tmp_path_factory.mktemp("parley") / "data", environment=environment) as running:
        embedder.parley = running
        yield running


async def test_an_embedders_function_carries_a_session_past_its_first_token(parley, embedder, browser, room):
    page = await browser.page()
    await page.goto(embedder.url)
    first, second = (parley.token(room, "robot", ttl_s=ttl_s) for ttl_s in (SHORT_S, 600))
    await page.evaluate(
        """async ([server, token, next]) => {
             const { Room, signalling_url } = await import(`${server}/static/sdk/parley.js`);
             globalThis.renewals = 0;
             const renew = async () => (renewals++, next);
             globalThis.room = await Room.connect({ url: signalling_url(server), token, renew });
           }""",
        [parley.url, first, second],
    )
    expiry = await page.evaluate("() => room.self.token_expires_at")
    await until(page, "(expiry) => room.self.token_expires_at > expiry + 60", expiry)
    await until(page, "(expiry) => Date.now() > (expiry + 2) * 1000", expiry)
    await page.evaluate("(next) => room.renew(next)", second)
    assert await page.evaluate("() => [room.state, renewals]") == ["connected", 1]
    await page.evaluate("() => room.leave()")
    assert await page.evaluate("() => room.state") == "closed"
    await page.close()


async def test_the_links_url_carries_the_rooms_page_past_its_token_and_over_a_reload(
    parley, embedder, browser, room
):
    page = await browser.page()
    link = parley.link(room, "ada", ttl_s=SHORT_S)
    expiry_ms = (time.time() + SHORT_S) * 1000
    await page.goto(f"{link}&renew={embedder.url}/renew")
    await pass_door(page, name="Ada", watch=True)
    assert await page.evaluate("() => location.hash") == ""
    await until(page, "(expiry_ms) => Date.now() > expiry_ms + 2000", expiry_ms)
    assert embedder.renewals == ["ada"]
    assert not await page.evaluate("() => document.getElementById('room').hidden")
    assert await page.evaluate("() => document.querySelector('[data-key=pass]')") is None
    await page.reload()
    await until(page, "() => !document.getElementById('room').hidden")
    assert await page.evaluate("() => violations") == []
    await page.close()


async def test_a_link_that_nobody_renews_says_when_it_ends_and_that_it_has(parley, browser, room):
    page = await browser.page()
    await page.goto(parley.link(room, "ada", ttl_s=SHORT_S))
    await pass_door(page, name="Ada", watch=True)
    await until(
        page, "() => document.querySelector('[data-key=pass]')?.textContent.startsWith('Your link ends at')"
    )
    await until(page, "() => document.getElementById('ended-title').textContent === 'Your link has ended'")
    assert "new link" in await page.evaluate("() => document.getElementById('ended-text').textContent")
    assert page.messages == []
    await page.close()


async def test_a_token_is_sent_to_no_origin_that_the_operator_did_not_list(parley, browser, room):
    asked: list[str] = []

    async def renew(request: web.Request) -> web.Response:
        asked.append(request.method)
        return web.json_response({"token": ""}, headers={"Access-Control-Allow-Origin": "*"})

    app = web.Application()
    app.router.add_route("*", "/renew", renew)
    async with TestServer(app) as stranger:
        page = await browser.page()
        await page.goto(f"{parley.link(room, 'ada', ttl_s=SHORT_S)}&renew={stranger.make_url('/renew')}")
        await pass_door(page, name="Ada", watch=True)
        await until(
            page, "() => document.getElementById('ended-title').textContent === 'Your link has ended'"
        )
        violations = await page.evaluate("() => violations")
        assert violations
        assert {violation.split()[0] for violation in violations} == {"connect-src"}
        assert asked == []
        await page.close()
