"""What the outside sees of a room: players of the partner's RTMP and of HLS, a page that frames the embed."""

import asyncio
import io
import re
import threading
import time
from dataclasses import dataclass, field

import aiohttp
import av
from aiohttp import web

from tests.support.decoded import colours, samples, share_of_colour, tone_level

LIVE = {"fflags": "nobuffer", "analyzeduration": "300000", "probesize": "100000"}
"""Options of a player that wants to be close to live."""


@dataclass
class Sighting:
    """One decoded picture: when it arrived here (monotonic seconds), and each colour's share of it."""

    at_s: float
    shares: dict[str, float]


class RtmpViewer:
    """Plays a stream of the partner's server in a thread of its own and notes who is in each picture."""

    def __init__(self, url, looks):
        self._url = url
        self._looks = looks
        self._is_stopping = False
        self.seen: list[Sighting] = []
        self._thread = threading.Thread(target=self._run, name="rtmp-viewer", daemon=True)
        self._thread.start()

    def last_with(self, name, *, share=0.02):
        return max((s.at_s for s in self.seen if s.shares[name] > share), default=None)

    def stop(self):
        self._is_stopping = True
        self._thread.join(10)

    def _run(self):
        while not self._is_stopping:
            try:
                with av.open(self._url, timeout=(5.0, 1.0), options=LIVE) as container:
                    if not container.streams.video:
                        continue
                    for frame in container.decode(video=0):
                        # Small, so that this player keeps up with the stream on a busy machine.
                        picture = frame.reformat(80, 45, format="rgb24").to_ndarray()
                        shares = {name: share_of_colour(picture, rgb) for name, rgb in self._looks.items()}
                        self.seen.append(Sighting(time.monotonic(), shares))
                        if self._is_stopping:
                            return
            except av.FFmpegError:
                time.sleep(0.1)


@dataclass
class HlsSegment:
    """One segment as a player got it."""

    name: str
    at_s: float
    data: bytes
    pictures: list = field(repr=False, default_factory=list)

    def share(self, rgb):
        """The largest share of a colour in any of its pictures."""
        self.pictures = self.pictures or colours(io.BytesIO(self.data))
        return max(share_of_colour(picture, rgb) for picture in self.pictures)

    def tone(self, hz):
        return tone_level(samples(io.BytesIO(self.data)), hz)


class HlsViewer:
    """Follows a playlist like a player: fetches each new segment once, with its initialisation segment."""

    def __init__(self, session: aiohttp.ClientSession, url):
        self._session = session
        self._url = url
        self._inits = {}
        self._query = url.partition("?")[2]
        self._base = url.partition("?")[0].rpartition("/")[0]
        self.segments: dict[str, HlsSegment] = {}
        self.listed: list[str] = []
        self.discontinuities = 0
        self.sequence = 0

    async def run(self):
        while True:
            await self.look()
            await asyncio.sleep(0.1)

    async def look(self):
        text = (await self._get(self._url)).decode()
        self.sequence = int(re.search(r"MEDIA-SEQUENCE:(\d+)", text)[1])
        self.discontinuities = text.count("#EXT-X-DISCONTINUITY\n")
        init, listed = None, []
        for line in text.splitlines():
            if match := re.match(r'#EXT-X-MAP:URI="([^"]+)"', line):
                init = match[1]
            elif line and not line.startswith("#"):
                name = line.partition("?")[0]
                listed.append(name)
                if name not in self.segments:
                    await self._take(name, line, init)
        self.listed = listed

    async def status(self, name):
        async with self._session.get(f"{self._base}/{name}?{self._query}") as response:
            return response.status

    async def _take(self, name, address, init):
        if init not in self._inits:
            self._inits[init] = await self._get(f"{self._base}/{init}")
        async with self._session.get(f"{self._base}/{address}") as response:
            if response.status == 200:
                self.segments[name] = HlsSegment(
                    name, time.monotonic(), self._inits[init] + await response.read()
                )

    async def _get(self, url):
        async with self._session.get(url) as response:
            assert response.status == 200, f"{url}: {response.status} {await response.text()}"
            return await response.read()


class ThirdPartySite:
    """A page of another origin that frames the room's embed."""

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
        port = self._runner.addresses[0][1]
        self.url = f"http://localhost:{port}/"

    async def stop(self):
        await self._runner.cleanup()


EMBED_WATCH = """() => {
  globalThis.sightings = [];
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 8;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const video = document.querySelector("video");
  // Each newly presented frame, not what stands frozen on the element after the last one.
  const look = () => {
    video.requestVideoFrameCallback(look);
    pen.drawImage(video, 0, 0, 8, 8);
    const data = pen.getImageData(0, 0, 8, 8).data;
    const sum = [0, 0, 0];
    for (let i = 0; i < data.length; i += 4) for (let c = 0; c < 3; c++) sum[c] += data[i + c] / 64;
    globalThis.sightings.push([Date.now(), ...sum.map(Math.round)]);
    if (globalThis.sightings.length > 5000) globalThis.sightings.shift();
  };
  video.requestVideoFrameCallback(look);
}"""
