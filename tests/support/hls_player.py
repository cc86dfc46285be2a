"""A player of HLS that keeps the bytes: each segment with its initialisation segment, as a playable file."""

import asyncio
import re
import time
from dataclasses import dataclass, field

import aiohttp

_LOOK_S = 0.1


@dataclass(frozen=True)
class Segment:
    """One segment as it came."""

    name: str
    at_s: float
    """When it was here (monotonic seconds)."""
    init: str
    data: bytes = field(repr=False)


class HlsPlayer:
    """Follows a playlist and fetches each new segment once."""

    def __init__(self, session: aiohttp.ClientSession, url):
        self._session = session
        self._url = url
        self._query = url.partition("?")[2]
        self._base = url.partition("?")[0].rpartition("/")[0]
        self._inits = {}
        self.segments: dict[str, Segment] = {}
        self.listed: list[str] = []
        self.discontinuities = 0

    async def follow(self):
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_S)

    async def look(self):
        status, text = await self._get(self._url)
        assert status == 200, text
        text = text.decode()
        self.discontinuities = text.count("#EXT-X-DISCONTINUITY\n")
        init, listed = "", []
        for line in text.splitlines():
            if match := re.match(r'#EXT-X-MAP:URI="([^"]+)"', line):
                init = match[1].partition("?")[0]
            elif line and not line.startswith("#"):
                name = line.partition("?")[0]
                listed.append(name)
                if name not in self.segments:
                    await self._take(name, init)
        self.listed = listed

    async def status(self, name):
        return (await self._get(f"{self._base}/{name}?{self._query}"))[0]

    @property
    def newest(self):
        return next(reversed(self.segments.values()), None)

    def since(self, at_s):
        return [segment for segment in self.segments.values() if segment.at_s > at_s]

    async def _take(self, name, init):
        if init not in self._inits:
            status, data = await self._get(f"{self._base}/{init}?{self._query}")
            if status != 200:
                return  # cut between the playlist and this
            self._inits[init] = data
        status, data = await self._get(f"{self._base}/{name}?{self._query}")
        if status == 200:
            self.segments[name] = Segment(name, time.monotonic(), init, self._inits[init] + data)

    async def _get(self, url):
        async with self._session.get(url) as response:
            return response.status, await response.read()
