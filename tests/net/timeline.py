"""The way to a viewer over time: what the link let through, what the browser counted, how long it queued."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from bench.network import Gap, Moment, Picture, longest, whole
from tests.browser.chromium import ChromiumPage
from tests.browser.sdk_page import Watching
from tests.net.link import Link
from tests.net.shaper import Conditions
from tests.net.witness import taken_bytes

_STEP_S = 0.2


class Timeline:
    """Looks every 200 ms. Meanwhile nobody else may ask the link for its report."""

    def __init__(self, net: Link, page: ChromiumPage) -> None:
        self.moments: list[Moment] = []
        self._net = net
        self._page = page
        self._bps: float | None = None
        self._started = self._last = 0.0
        self._seen = 0
        self._is_over = False

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Look as long as this lasts."""
        await self._net.report()
        self._seen = await taken_bytes(self._page)
        self._started = self._last = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run())
            try:
                yield
            finally:
                self._is_over = True

    def now_s(self) -> float:
        """Since the time line began."""
        return asyncio.get_running_loop().time() - self._started

    async def narrow(self, down: Conditions) -> float:
        """Change the way down; when that was."""
        await self._net.shape(down=down)
        self._bps = down.bps
        return self.now_s()

    def since(self, start_s: float) -> Moment:
        """All from then until now."""
        return whole(self.moments, start_s, self.now_s())

    async def pictures(self, viewer: Watching) -> list[Picture]:
        """Those that a page showed in this time."""
        shown = [Picture(self.now_s() - ago_s, height) for ago_s, height in await viewer.pictures()]
        return [picture for picture in shown if picture.at_s >= 0]

    async def longest(self, viewer: Watching, start_s: float) -> Gap:
        """The longest time without a new picture since then; one that lasts still counts."""
        pictures = await self.pictures(viewer)
        now_s = self.now_s()
        return longest([*pictures, Picture(now_s, pictures[-1].height)] if pictures else [], start_s, now_s)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._is_over:
            await asyncio.sleep(max(0.0, self._last + _STEP_S - loop.time()))
            bps = self._bps
            _, down = await self._net.report()
            now = loop.time()
            seen = await taken_bytes(self._page)
            self.moments.append(
                Moment(
                    at_s=now - self._started,
                    seconds=now - self._last,
                    link_bps=bps,
                    link_bytes=down.packet_bytes,
                    seen_bytes=seen - self._seen,
                    queued_ms=tuple(wait_s * 1000 for wait_s in down.queued_s),
                )
            )
            self._last, self._seen = now, seen
