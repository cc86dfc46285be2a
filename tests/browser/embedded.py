"""A room that is live on a partner's site of another origin, whose page frames the embed."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from html import escape

from aiohttp import web

from tests.browser.consent_steps import answer
from tests.browser.parley import Parley, free_port
from tests.browser.people import Person

_PAGE = """<!doctype html><link rel=icon href=data:,><title>Partner</title>
<script>
  globalThis.heard = [];
  addEventListener("message", ({{ data, origin }}) => {{
    if (data?.parley) heard.push({{ ...data, origin }});
  }});
</script>
<iframe id=embed width=640 height=360 allow=autoplay src="{url}"></iframe>"""


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

    def __init__(
        self,
        parley: Parley,
        site: PartnerSite,
        room: str,
        ada: Person,
        partner: str,
        url: str,
        broadcast: str,
    ) -> None:
        self.parley, self.site, self.room, self.ada = parley, site, room, ada
        self.partner, self.url, self.broadcast = partner, url, broadcast

    async def block(self) -> None:
        status, body = await self.parley.api("POST", f"/partners/{self.partner}/block")
        assert (status, body["blocked"]) == (200, True)


@contextlib.asynccontextmanager
async def on_air(parley: Parley, join: Callable[..., Awaitable[Person]], room: str) -> AsyncIterator[Show]:
    """Ada is in a room, agreed to be live, and is on a partner's site until the context ends."""
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
    try:
        yield Show(parley, site, room, ada, partner_id, embed["url"], broadcast["id"])
    finally:
        await parley.api("POST", f"/broadcasts/{broadcast['id']}/stop")
        await site.stop()
