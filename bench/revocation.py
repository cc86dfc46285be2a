"""From a revocation's call to the last that each kind of sink gave out of the person, many times over."""

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Final

import aiohttp
import av

from bench.revocation_figures import RevocationFigures
from bench.studio.decoded import Sound, pictures, rgb, samples, share_of_colour, tone_level
from bench.studio.encoded import encode_colour, encode_tone
from bench.studio.hls_player import HlsPlayer, Segment
from bench.studio.house import ROOM, house
from bench.studio.live_player import LivePlayer, rtmp
from bench.studio.person import Person
from bench.studio.srt_site import SrtSite
from bench.studio.viewer import WhepViewer
from bench.studio.whip_site import WhipSite
from bench.target import TargetFailed

_STAYS, _LEAVES = (40, 160, 60), (200, 50, 50)
_STAYS_HZ, _LEAVES_HZ = 440, 1_000
_ALL: Final = {"live": True, "record": True}
_NONE: Final = {"live": False, "record": False}
_SMALL: Final = (80, 45)
_SEEN: Final = 0.1
"""Share of the picture from which the person is in it; half of it is theirs."""
_HEARD: Final = 0.05
_LOOK_S: Final = 0.002
_ASK_S: Final = 0.01
_GOES_ON_S: Final = 1.0
"""After the call, in which anything that still comes is seen."""
_COMES_WITHIN_S: Final = 30.0


async def revocations(times: int, note: Callable[[str], None] = lambda _words: None) -> RevocationFigures:
    """Let somebody revoke and agree again so many times while every kind of sink shows them.

    Raises:
        TargetFailed: a sink does not come to show them, or shows them after the answer.
    """
    found = RevocationFigures()
    async with _stage() as stage:
        for number in range(times):
            for name, value in (await stage.repeat()).items():
                found.ms[name].append(value)
            found.times += 1
            if (number + 1) % 10 == 0:
                note(f"{number + 1} of {times}")
    return found


class _Witness:
    """When the person was last seen and heard at a site. Written by its player's thread."""

    def __init__(self) -> None:
        self.seen_s = self.heard_s = 0.0
        self.pictures = 0

    def see(self, at_s: float, frame: av.VideoFrame) -> None:
        """Look for the person in a picture."""
        self.pictures += 1
        picture = rgb(frame.reformat(*_SMALL, format="rgb24"))
        if share_of_colour(picture, _LEAVES) > _SEEN:
            self.seen_s = at_s

    def hear(self, at_s: float, sound: Sound) -> None:
        """Listen for the person in a piece of sound."""
        if tone_level(sound, _LEAVES_HZ) > _HEARD:
            self.heard_s = at_s


class _Writes:
    """When a media file of the recording last grew. Only the person who revokes is recorded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[Path, int] = {}
        self.last_s = 0.0

    def look(self) -> None:
        """Note what has grown since the last look."""
        now = time.monotonic()
        for path in self._folder.rglob("*-*-*.*"):
            with contextlib.suppress(FileNotFoundError):
                size = path.stat().st_size
                if size > self._sizes.get(path, 0):
                    self._sizes[path], self.last_s = size, now


class _Stage:
    """A room that is recorded and broadcast, and its witnesses; `sites`: those that are pushed to."""

    def __init__(
        self,
        person: Person,
        sites: Mapping[str, _Witness],
        hls: HlsPlayer,
        writes: _Writes,
        whep: WhepViewer,
    ) -> None:
        self._person = person
        self._sites = sites
        self._hls = hls
        self._writes = writes
        self._whep = whep
        self._served_s: dict[str, float] = {}

    async def repeat(self) -> Mapping[str, float]:
        """One revocation while all sinks show the person, and consent again."""
        await self._person.consent(_ALL)
        agreed_s = time.monotonic()
        held = await self._until_shown(agreed_s)
        watching = [
            asyncio.create_task(self._ask("hls", held.name)),
            asyncio.create_task(self._ask("hls_part", self._hls.newest_part)),
            asyncio.create_task(self._watch()),
        ]
        try:
            await asyncio.sleep(_ASK_S * 3)
            called_s = time.monotonic()
            done_ms = await self._person.consent(_NONE)
            done_s = time.monotonic()
            await asyncio.sleep(_GOES_ON_S)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        for segment in self._hls.since(done_s):
            if await asyncio.to_thread(_shows, segment.data):
                raise TargetFailed(f"HLS holds the person in {segment.name}, which came after the answer")
        last = {**self._last(), **self._served_s}
        figures = {name: (at_s - called_s) * 1000 for name, at_s in last.items()}
        return {"done": (done_s - called_s) * 1000 if done_ms is None else done_ms, **figures}

    def _last(self) -> dict[str, float]:
        """When each sink but HLS last gave something out of the person, by its name in the figures."""
        pushed = {
            f"{name}_{what}": at_s
            for name, witness in self._sites.items()
            for what, at_s in (("picture", witness.seen_s), ("sound", witness.heard_s))
        }
        return {**pushed, "whep": self._whep.last_s, "file": self._writes.last_s}

    async def _until_shown(self, since_s: float) -> Segment:
        """Wait until every sink shows the person anew; the newest HLS segment that does."""
        deadline = time.monotonic() + _COMES_WITHIN_S
        while True:
            self._writes.look()
            waiting = [name for name, at_s in self._last().items() if at_s < since_s]
            newest = self._hls.newest
            if newest is None or newest.at_s < since_s or not await asyncio.to_thread(_shows, newest.data):
                waiting.append("hls")
            elif not await self._part_sounds():
                waiting.append("hls_part")
            elif not waiting:
                return newest
            if time.monotonic() > deadline:
                raise TargetFailed(f"never came after consent: {', '.join(waiting)}")
            await asyncio.sleep(0.02)

    async def _part_sounds(self) -> bool:
        """Whether the newest part holds the person's sound: it decodes without what was before."""
        part = await self._hls.part(self._hls.newest_part) if self._hls.newest_part else b""
        return bool(part) and await asyncio.to_thread(_sounds, part)

    async def _ask(self, sink: str, name: str) -> None:
        """Ask for a segment or a part again and again."""
        while True:
            if await self._hls.status(name) == 200:
                self._served_s[sink] = time.monotonic()
            await asyncio.sleep(_ASK_S)

    async def _watch(self) -> None:
        while True:
            self._writes.look()
            await asyncio.sleep(_LOOK_S)


@contextlib.asynccontextmanager
async def _stage() -> AsyncIterator[_Stage]:
    async with contextlib.AsyncExitStack() as stack:
        there = await stack.enter_async_context(house())
        await there.enter("stays", encode_colour(_STAYS), encode_tone(_STAYS_HZ), {"live": True})
        person = await there.enter("leaves", encode_colour(_LEAVES), encode_tone(_LEAVES_HZ), _ALL)
        recording = await there.record()
        sites = {name: _Witness() for name in ("rtmp", "srt", "whip")}
        srt = SrtSite()
        player = LivePlayer(
            srt.open, sites["srt"].see, sites["srt"].hear, ends=srt.close, clock=lambda: srt.last_s
        )
        stack.push_async_callback(asyncio.to_thread, player.stop)
        whip = WhipSite(sites["whip"].see, sites["whip"].hear)
        await whip.start()
        stack.push_async_callback(whip.stop)
        live = await there.go_live(
            {"name": "Broadcaster", "kind": "srt", "url": srt.url},
            {"name": "Stage", "kind": "whip", "url": whip.url},
        )
        player = LivePlayer(rtmp(there.rtmp_url), sites["rtmp"].see, sites["rtmp"].hear)
        stack.push_async_callback(asyncio.to_thread, player.stop)
        hls = HlsPlayer(there.http, f"{there.served.url}{live['hls_url']}")
        following = asyncio.create_task(hls.follow())
        stack.push_async_callback(_end, following)
        token = await there.outside_token()
        for shown in ("", "/leaves"):  # a site that shows the room is asked about before it shows anybody
            whep = await _embed(stack, there.http, f"{there.served.url}/whep/{ROOM}{shown}", token)
        written = there.served.folder / "blobs" / "recordings" / recording
        yield _Stage(person, sites, hls, _Writes(written), whep)


async def _embed(
    stack: contextlib.AsyncExitStack, http: aiohttp.ClientSession, url: str, token: str
) -> WhepViewer:
    """A viewer, as soon as somebody has agreed to be shown."""
    deadline = time.monotonic() + _COMES_WITHIN_S
    viewer = WhepViewer(url, token)
    while True:
        try:
            await viewer.connect(http)
        except RuntimeError as error:
            if time.monotonic() > deadline:
                raise TargetFailed(f"{url}: {error}") from error
            await asyncio.sleep(0.1)
        else:
            stack.push_async_callback(viewer.close, http)
            return viewer


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _shows(data: bytes) -> bool:
    """Whether a segment holds the person's picture or sound."""
    shown = (picture for _, picture in pictures(io.BytesIO(data), size=_SMALL))
    return any(share_of_colour(picture, _LEAVES) > _SEEN for picture in shown) or _sounds(data)


def _sounds(data: bytes) -> bool:
    """Whether a segment or a part holds the person's sound."""
    return tone_level(samples(io.BytesIO(data)), _LEAVES_HZ) > _HEARD
