"""A page of another origin that frames the room's embed, and what can be seen and heard in it."""

from pathlib import Path

from aiohttp import web

from tests.main_job.cast import CAST, HEARD, D, is_near

_WATCH = (Path(__file__).parent / "embed_watch.js").read_text()
_IN_A_ROW = 3
"""So many pieces of 20 ms make a sound: a single one may be a click."""


class ThirdPartySite:
    """Serves one page with the embed in a frame."""

    def __init__(self, embed_url):
        self._embed_url = embed_url
        self._runner = None
        self.url = ""

    async def start(self):
        async def page(_request):
            frame = f"<iframe id=embed allow=autoplay width=640 height=400 src='{self._embed_url}'></iframe>"
            body = f"<!doctype html><title>Partner</title>{frame}"
            return web.Response(text=body, content_type="text/html")

        app = web.Application()
        app.router.add_get("/", page)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://localhost:{self._runner.addresses[0][1]}/"

    async def stop(self):
        await self._runner.cleanup()


class EmbedViewer:
    """The frame of the embed in a page that is loaded. Times are milliseconds of the wall clock."""

    def __init__(self, frame):
        self._frame = frame

    async def watch(self):
        await self._frame.evaluate(_WATCH, [who.tone_hz for who in CAST])

    async def text(self):
        return await self._frame.evaluate("() => document.body.innerText")

    async def texts(self):
        """All that could be read in it at any time."""
        return await self._frame.evaluate("() => [...globalThis.texts]")

    async def pictures(self, *, since_ms=0):
        """(ms, mean colour) of each picture that was presented."""
        rows = await self._frame.evaluate(
            "(since) => globalThis.sightings.filter(([ms]) => ms >= since)", since_ms
        )
        return [(ms, colour) for ms, *colour in rows]

    async def levels(self, who, *, since_ms=0):
        """(ms, level of somebody's tone) of each piece of sound."""
        rows = await self._frame.evaluate(
            "(since) => globalThis.hearings.filter(([ms]) => ms >= since)", since_ms
        )
        return [(ms, levels[CAST.index(who)]) for ms, *levels in rows]

    async def last_seen_ms(self, who):
        """When a picture of somebody was last presented; None: never."""
        return max((ms for ms, colour in await self.pictures() if is_near(colour, who.colour)), default=None)

    async def last_heard_ms(self, who):
        """When somebody's tone was last in the sound; None: never."""
        return max((ms for ms, level in await self.levels(who) if level > HEARD), default=None)

    async def sees(self, who, *, since_ms=0):
        """Whether any picture since then shows somebody; D only when it flashes, between dark pictures."""
        colours = [colour for _, colour in await self.pictures(since_ms=since_ms)]
        is_dark = any(is_near(colour, (30, 30, 30)) for colour in colours)
        return any(is_near(colour, who.colour) for colour in colours) and (who is not D or is_dark)

    async def hears(self, who, *, since_ms=0):
        """Whether somebody's tone sounds anywhere since then, and is no click."""
        loud = [level > HEARD for _, level in await self.levels(who, since_ms=since_ms)]
        return any(all(loud[at : at + _IN_A_ROW]) for at in range(len(loud) - _IN_A_ROW + 1))
