"""A player of the HLS output: follows the playlist, fetches each segment once, and decodes it."""

import asyncio
import io
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import aiohttp
import av
import numpy as np

from bench.studio.decoded import samples, share_of_colour
from tests.main_job.cast import SEEN
from tests.main_job.meeting import LINE_OF_C
from tests.main_job.program_picture import likeness_of_line

_SMALL = (80, 45)
_LOOK_S = 0.1
_ASK_S = 0.02


@dataclass(frozen=True, eq=False)
class HlsSegment:
    """One segment as a player got it and decoded it."""

    name: str
    at_s: float
    """When its last byte was here (monotonic seconds)."""
    times_s: tuple[float, ...]
    """Where its pictures stand on the stream's own time line."""
    pictures: tuple[np.ndarray, ...]
    """All of them, small."""
    last_picture: np.ndarray
    """In full size."""
    line_of_c: float
    """How much some part of any of its pictures looks like what C wrote."""
    sound: np.ndarray

    @property
    def number(self):
        return int(re.search(r"(\d+)\.m4s$", self.name)[1])

    def shares(self, who):
        """Somebody's colour in each of the pictures."""
        return [share_of_colour(picture, who.colour) for picture in self.pictures]

    def shows(self, who):
        return max(self.shares(who)) > SEEN / 2


class HlsViewer:
    """`follow` runs until `stop`; `segments` are in the order in which they came."""

    def __init__(self, session: aiohttp.ClientSession, url):
        self._session = session
        self._url = url
        self._inits = {}
        self._query = url.partition("?")[2]
        self._base = url.partition("?")[0].rpartition("/")[0]
        self._decoder = ThreadPoolExecutor(1, "hls-viewer")
        self._is_stopping = False
        self._ended = asyncio.Event()
        self.segments: list[HlsSegment] = []
        self.cues: set[str] = set()
        """Every line that was in the WebVTT rendition of the chat at any time."""
        self.listed: list[str] = []
        self.sequence = 0
        self.discontinuities = 0

    async def follow(self):
        try:
            while not self._is_stopping:
                await self.look()
                await asyncio.sleep(_LOOK_S)
        finally:
            self._decoder.shutdown()
            self._ended.set()

    async def stop(self):
        """Ends the following; what came stays."""
        self._is_stopping = True
        await self._ended.wait()

    async def look(self):
        """Reads the playlist and fetches what is new in it."""
        text = (await self._get(f"{self._base}/video.m3u8?{self._query}")).decode()
        sequence = int(re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", text)[1])
        assert sequence >= self.sequence, "the media sequence went back"
        self.sequence = sequence
        self.discontinuities = text.count("#EXT-X-DISCONTINUITY\n")
        init, listed = None, []
        for line in text.splitlines():
            if match := re.match(r'#EXT-X-MAP:URI="([^"]+)"', line):
                init = match[1]
            elif line and not line.startswith("#"):
                listed.append((line, init))
        self.listed = [line.partition("?")[0] for line, _ in listed]
        known = {segment.name for segment in self.segments}
        news = [(line, init) for line, init in listed if line.partition("?")[0] not in known]
        for line, init in news:
            await self._take(line, init)
        if news:
            await self._read_chat()

    async def _read_chat(self):
        """Reads all of the chat's segments: one that was read before may have got another line."""
        playlist = (await self._get(f"{self._base}/chat.m3u8?{self._query}")).decode()
        for name in (line for line in playlist.splitlines() if line and not line.startswith("#")):
            async with self._session.get(f"{self._base}/{name}") as response:
                if response.status == 200:
                    assert response.content_type == "text/vtt"
                    self.cues.update((await response.text()).splitlines())

    async def last_served(self, name, until: asyncio.Event):
        """Asks for one segment again and again; when its bytes were last answered with."""
        last_s = None
        while not until.is_set():
            async with self._session.get(f"{self._base}/{name}?{self._query}") as response:
                if response.status == 200:
                    await response.read()
                    last_s = time.monotonic()
            await asyncio.sleep(_ASK_S)
        return last_s

    async def status(self, name):
        async with self._session.get(f"{self._base}/{name}?{self._query}") as response:
            return response.status

    def since(self, at_s):
        """The segments that were here no earlier than that."""
        return [segment for segment in self.segments if segment.at_s >= at_s]

    async def _take(self, address, init):
        if init not in self._inits:
            self._inits[init] = await self._get(f"{self._base}/{init}")
        async with self._session.get(f"{self._base}/{address}") as response:
            if response.status != 200:
                return
            data = self._inits[init] + await response.read()
        at_s = time.monotonic()
        loop = asyncio.get_running_loop()
        name = address.partition("?")[0]
        self.segments.append(await loop.run_in_executor(self._decoder, _decoded, name, at_s, data))

    async def _get(self, url):
        async with self._session.get(url) as response:
            assert response.status == 200, f"{url}: {response.status} {await response.text()}"
            return await response.read()


def _decoded(name, at_s, data):
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(video=0))
    full = [frame.to_ndarray(format="rgb24") for frame in frames]
    return HlsSegment(
        name,
        at_s,
        times_s=tuple(frame.time for frame in frames),
        pictures=tuple(frame.reformat(*_SMALL, format="rgb24").to_ndarray() for frame in frames),
        last_picture=full[-1],
        line_of_c=max(likeness_of_line(picture, LINE_OF_C) for picture in full),
        sound=samples(io.BytesIO(data)),
    )
