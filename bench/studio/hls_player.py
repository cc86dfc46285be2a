"""A player of HLS that keeps the bytes: each segment with its initialisation segment, as a playable file."""

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import Final

import aiohttp

_LOOK_S: Final = 0.1
_OK: Final = 200


@dataclass(frozen=True)
class Segment:
    """One segment as it came."""

    name: str
    at_s: float
    """When it was here (monotonic seconds)."""
    init: str
    data: bytes = field(repr=False)


class HlsPlayer:
    """Follows the first rendition of a multivariant playlist and fetches each new segment once."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._query = url.partition("?")[2]
        self._base = url.partition("?")[0].rpartition("/")[0]
        self._media = ""
        self._init = ""
        self._inits: dict[str, bytes] = {}
        self.segments: dict[str, Segment] = {}
        self.listed: list[str] = []
        self.newest_part = ""
        self.discontinuities = 0

    async def follow(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> None:
        """Read the playlist and fetch what is new in it.

        Raises:
            RuntimeError: there is no playlist; with the server's words.
        """
        if not self._media:
            index = await self._playlist("index.m3u8")
            names = (line for line in index.splitlines() if line and not line.startswith("#"))
            self._media = next(names).partition("?")[0]
        text = await self._playlist(self._media)
        self.discontinuities = text.count("#EXT-X-DISCONTINUITY\n")
        init = ""
        listed: list[str] = []
        for line in text.splitlines():
            if match := re.match(r'#EXT-X-MAP:URI="([^"]+)"', line):
                init = self._init = match[1].partition("?")[0]
            elif match := re.match(r'#EXT-X-PART:.*URI="([^"]+)"', line):
                self.newest_part = match[1].partition("?")[0]
            elif line and not line.startswith("#"):
                name = line.partition("?")[0]
                listed.append(name)
                if name not in self.segments:
                    await self._take(name, init)
        self.listed = listed

    @property
    def playlist_url(self) -> str:
        """Where the media playlist is; known after the first look."""
        return f"{self._base}/{self._media}?{self._query}"

    async def part(self, name: str) -> bytes:
        """A part that is listed, with its initialisation segment in front; empty when it is gone."""
        status, data = await self._get(f"{self._base}/{name}?{self._query}")
        return self._inits.get(self._init, b"") + data if status == _OK else b""

    async def captions(self) -> list[str]:
        """The chat beside the segments that are listed now, as WebVTT."""
        playlist = (await self._get(f"{self._base}/chat.m3u8?{self._query}"))[1].decode()
        names = [
            line.partition("?")[0] for line in playlist.splitlines() if line and not line.startswith("#")
        ]
        return [(await self._get(f"{self._base}/{name}?{self._query}"))[1].decode() for name in names]

    async def status(self, name: str) -> int:
        """How a request for a segment is answered now."""
        return (await self._get(f"{self._base}/{name}?{self._query}"))[0]

    @property
    def newest(self) -> Segment | None:
        """The segment that came last."""
        return next(reversed(self.segments.values()), None)

    def since(self, at_s: float) -> list[Segment]:
        """The segments that were here after that."""
        return [segment for segment in self.segments.values() if segment.at_s > at_s]

    async def _playlist(self, name: str) -> str:
        status, body = await self._get(f"{self._base}/{name}?{self._query}")
        if status != _OK:
            raise RuntimeError(f"{self._base}/{name}: {status} {body.decode()}")
        return body.decode()

    async def _take(self, name: str, init: str) -> None:
        if init not in self._inits:
            status, data = await self._get(f"{self._base}/{init}?{self._query}")
            if status != _OK:
                return  # cut between the playlist and this
            self._inits[init] = data
        status, data = await self._get(f"{self._base}/{name}?{self._query}")
        if status == _OK:
            self.segments[name] = Segment(name, time.monotonic(), init, self._inits[init] + data)

    async def _get(self, url: str) -> tuple[int, bytes]:
        async with self._session.get(url) as response:
            return response.status, await response.read()
