"""The embed on a partner's page of another origin: who may frame it, what plays in it, how it ends."""

import asyncio
import time
from collections.abc import AsyncIterator
from html import escape

import pytest
import pytest_asyncio
from aiohttp import web

from tests.browser.consent_steps import answer
from tests.browser.page import until
from tests.browser.parley import Parley, free_port
from tests.support.promises import assert_promised

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browser"),
]

_PAGE = """<!doctype html><link rel=icon href=data:,><title>Partner</title>
<script>
  globalThis.heard = [];
  addEventListener("message", ({{ data, origin }}) => {{
    if (data?.parley) heard.push({{ ...data, origin }});
  }});
</script>
<iframe id=embed width=640 height=360 allow=autoplay src="{url}"></iframe>"""
_STATE = "() => globalThis.heard.filter(({ type }) => type === 'state').at(-1)?.state"
_SAY = """(command) => document.getElementById('embed').contentWindow
  .postMessage({ parley: 1, command }, '*')"""


class PartnerSite:
    """Serves a page that frames whatever it is told to."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.embedded = ""

    async def start(self) -> None:
        async def page(_request: web.Request) -> web.Response:
            return web.Response(text=_PAGE.format(url=escape(self.embedded)), content_type="text/html")

        app = web.Application()
        app.router.add_get("/", page)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        port = free_port()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.origin = f"http://{self._host}:{port}"

    async def stop(self) -> None:
        await self._runner.cleanup()


class Show:
    """A room with somebody live on a partner's site."""

    def __init__(self, parley: Parley, site: PartnerSite, partner: str, url: str, broadcast: str) -> None:
        self.parley, self.site, self.partner, self.url, self.broadcast = parley, site, partner, url, broadcast

    async def block(self) -> None:
        status, body = await self.parley.api("POST", f"/partners/{self.partner}/block")
        assert (status, body["blocked"]) == (200, True)


@pytest_asyncio.fixture(loop_scope="module")
async def show(parley, join, room) -> AsyncIterator[Show]:
    site = PartnerSite("localhost")
    await site.start()

    async def api(path, body):
        status, made = await parley.api("POST", path, body)
        assert status == 201, made
        return made

    partner = {
        "name": room,
        "site": f"{room}.example",
        "policy_url": "https://partner.example/privacy",
        "uses": ["live"],
        "terms_version": "1",
        "origins": [site.origin],
    }
    await api("/rooms", {"name": room, "mode": "explicit"})
    ada = await join("ada", uses={"live": True})
    partner_id = (await api("/partners", partner))["id"]
    hls = (await api("/destinations", {"name": "Web", "partner": partner_id, "kind": "hls"}))["id"]
    broadcast = await api("/broadcasts", {"room": room, "destinations": [hls]})
    await answer(ada, "yes")
    embed = await api(f"/rooms/{room}/embeds", {"partner": partner_id, "ttl_s": 600})
    site.embedded = embed["url"]
    yield Show(parley, site, partner_id, embed["url"], broadcast["id"])
    await parley.api("POST", f"/broadcasts/{broadcast['id']}/stop")
    await site.stop()


async def watch_and_block(page, show):
    await page.goto(f"{show.site.origin}/")
    await until(page, f"() => ({_STATE})() === 'playing'", within_s=30)
    origins = await page.evaluate("() => [...new Set(heard.map(({ origin }) => origin))]")
    assert origins == [show.parley.url]
    await page.evaluate(_SAY, "unmute")
    await until(page, "() => heard.some(({ type }) => type === 'muted')")
    began = time.monotonic()
    await show.block()
    await until(page, f"() => ({_STATE})() === 'ended'")
    assert_promised("the kill switch in the embed", time.monotonic() - began, 1.0)
    await page.evaluate(_SAY, "play")
    await until(page, "() => heard.at(-1)?.reason === 'forbidden'")


async def test_an_embed_plays_on_the_partners_page_in_chromium_until_the_kill_switch(browser, show):
    page = await browser.page()
    try:
        await watch_and_block(page, show)
    finally:
        await page.close()


async def test_an_embed_plays_on_the_partners_page_in_firefox_until_the_kill_switch(fox, show):
    page = await fox.page()
    try:
        await watch_and_block(page, show)
    finally:
        await page.close()


async def test_where_no_media_connection_gets_through_the_embed_plays_hls(browser, show):
    show.site.embedded = f"{show.url}#play=hls"
    page = await browser.page()
    try:
        await page.goto(f"{show.site.origin}/")
        await until(page, f"() => ({_STATE})() === 'playing'", within_s=30)
        frame = next(frame for frame in page.page.frames if "/embed/" in frame.url)
        moving = "() => document.getElementById('video').currentTime > 0"
        await frame.wait_for_function(moving, timeout=30_000)
        at = await frame.evaluate("() => document.getElementById('video').currentTime")
        later = f"() => document.getElementById('video').currentTime > {at} + 3"
        await frame.wait_for_function(later, timeout=30_000)
        behind = """() => { const { buffered, currentTime } = document.getElementById('video');
                            return buffered.end(buffered.length - 1) - currentTime; }"""
        assert await frame.evaluate(behind) < 5
        assert await frame.evaluate("() => document.getElementById('video').videoWidth") > 0
        await show.block()
        await until(page, f"() => ({_STATE})() === 'ended'")
    finally:
        await page.close()


async def test_another_site_cannot_frame_the_link_and_hears_nothing(browser, show):
    thief = PartnerSite("127.0.0.1")
    await thief.start()
    page = await browser.page()
    try:
        thief.embedded = show.url
        await page.goto(f"{thief.origin}/")
        await asyncio.sleep(2)
        assert await page.evaluate("() => heard") == []
        assert any("frame-ancestors" in message or "Framing" in message for message in page.messages)
        assert not [frame for frame in page.page.frames if frame.url.startswith(show.parley.url)]
    finally:
        await page.close()
        await thief.stop()
