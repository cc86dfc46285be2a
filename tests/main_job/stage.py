"""Everything that the main job runs on: the server, the partner's site, the room, the people in it."""

import asyncio
import contextlib
import secrets
import tempfile

import aiohttp

from bench.studio.encoded import encode_colour, encode_tone
from bench.studio.flash import flash_and_beep
from bench.studio.peer import RtpPeer
from bench.studio.player import RtpPlayer, with_canary_audio, with_canary_video
from bench.studio.rtmp_site import RtmpSite
from tests.browser import chromium, firefox
from tests.browser.page import Capture, until
from tests.browser.parley import serve
from tests.browser.people import enter
from tests.main_job.cast import AGREED, BROWSERS, C, D, E
from tests.main_job.recording import RecordingFolder
from tests.support import waiting
from tests.support.canary import CanaryWatch, deleted_while_open

ROOM = "main-job"
GRANTS = ("join", "publish", "subscribe", "chat")
STREAM_KEY = "stream-key-0123456789"
CONTROL = "a file that is deleted while it is open"
SEGMENT_S = 1.0
CONFIG = f"""
[broadcast]
allow_private = true
width = 640
height = 360
fps = 15
video_kbps = 900
segment_s = {SEGMENT_S}

[recorder]
encrypt = false
"""


@contextlib.asynccontextmanager
async def set_up(folder):
    """A stage with its server and the partner's site running; files are watched from before they start until
    they have ended.
    """
    data_dir = folder / "data"
    data_dir.mkdir(parents=True)
    config = folder / "parley.toml"
    config.write_text(CONFIG)
    partner = RtmpSite(folder / "partner")
    canaries = {name: secrets.token_bytes(32) for name in ("D", "E", CONTROL)}
    async with contextlib.AsyncExitStack() as stack:
        holder = stack.enter_context(deleted_while_open(data_dir, canaries[CONTROL]))
        folders = [data_dir, tempfile.gettempdir(), "/var/tmp", "/dev/shm"]
        watch = CanaryWatch(folders, canaries, processes=[holder], skip=[partner.folder])
        stack.callback(watch.close)
        await partner.start()
        stack.push_async_callback(partner.stop)
        parley = await stack.enter_async_context(serve(data_dir, arguments=("--config", str(config))))
        watch.follow(parley.process.pid)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Stage(stack, parley, partner, session, watch, canaries)


class Stage:
    """The room and what happens in it; each method is one thing that somebody does."""

    def __init__(self, stack, parley, partner, session, watch, canaries):
        self.stack = stack
        self.parley = parley
        self.partner = partner
        self.session = session
        self.watch = watch
        self.people = {}
        self._recording = self._broadcast = None
        self._canaries = canaries

    @property
    def rtmp_url(self):
        return self.partner.url(STREAM_KEY)

    async def api(self, method, path, body=None):
        status, answer = await self.parley.api(method, path, body)
        assert status in {200, 201, 204}, f"{method} {path}: {status} {answer}"
        return answer

    def keep_running(self, coroutine):
        """Runs until the stage is cleared; a failure of it fails the test then."""
        task = asyncio.create_task(coroutine)

        async def end():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        self.stack.push_async_callback(end)

    async def open_room(self):
        """A room of mode `explicit`, and a partner with two destinations."""
        await self.api("POST", "/rooms", {"name": ROOM, "mode": "explicit"})
        terms = {"policy_url": "https://partner.example/privacy", "terms_version": "2026-11"}
        site = {"name": "Partner TV", "site": "partner.example", "uses": ["live", "replay"]}
        partner = await self.api("POST", "/partners", site | terms)
        common = {"partner": partner["id"]}
        rtmp = {"name": "Main channel", "kind": "rtmp", "url": self.rtmp_url}
        hls = {"name": "Web", "kind": "hls"}
        self._destinations = [await self.api("POST", "/destinations", common | one) for one in (rtmp, hls)]
        assert STREAM_KEY not in str(self._destinations)

    async def whip_publishers_come(self):
        """D vouches for its consent; E does not, and is let in because nothing runs yet."""
        async with self.session.get(f"{self.parley.url}/api/v1/terms") as response:
            version = (await response.json())["version"]
        video, audio = flash_and_beep()
        await self._whip(D, video, audio, terms={"version": version, "uses": ["live", "record", "replay"]})
        await self._whip(E, encode_colour(E.colour), encode_tone(E.tone_hz))

    async def _whip(self, who, video, audio, **claims):
        token = self.parley.token(ROOM, who.identity, name=who.name, grants=("publish",), **claims)
        peer = RtpPeer(f"{self.parley.url}/whip/{ROOM}", token)
        await peer.connect(self.session)
        self.stack.push_async_callback(peer.close)
        canary = self._canaries[who.identity]
        player = RtpPlayer(peer, with_canary_video(video, canary), with_canary_audio(audio, canary))
        self.keep_running(player.run())

    async def browsers_come(self):
        """A and B in Chromium, C in Firefox; A and B agree at the door, C does not."""
        self.chromium = await self.stack.enter_async_context(chromium.launch())
        fox = await self.stack.enter_async_context(firefox.launch(C.tone_hz))
        for who in BROWSERS:
            browser = fox if who is C else self.chromium
            page = await browser.page(Capture(who.colour, who.tone_hz))
            self.people[who] = await enter(
                self.parley,
                page,
                ROOM,
                who.identity,
                who.colour,
                who.tone_hz,
                name=who.name,
                uses=dict.fromkeys(("live", "record", "replay"), who in AGREED),
                grants=GRANTS,
            )

    async def answer_notices(self):
        """A and B say yes to what the notice asks, C says no."""
        for who in BROWSERS:
            page = self.people[who].page
            button = "#notice-yes" if who in AGREED else "#notice-no"
            await until(page, "(s) => document.querySelector(s)?.checkVisibility() ?? false", button)
            await page.click(button)
            await until(page, "(s) => !document.querySelector(s)", button)

    async def record(self):
        self._recording = (await self.api("POST", "/recordings", {"room": ROOM}))["id"]
        await self.answer_notices()

    async def go_live(self):
        destinations = [one["id"] for one in self._destinations]
        self._broadcast = await self.api("POST", "/broadcasts", {"room": ROOM, "destinations": destinations})
        await self.answer_notices()
        await self.until_live()

    async def hls_url(self):
        return self.parley.url + (await self._status())["hls_url"]

    async def until_live(self, *, rtmp=True):
        """Waits until the API tells that HLS is live, and RTMP is or is not."""

        async def is_told():
            told = {one["kind"]: one["state"] for one in (await self._status())["destinations"]}
            return told["hls"] == "live" and (told["rtmp"] == "live") == rtmp

        await waiting.until(is_told, f"HLS is live and RTMP is{'' if rtmp else ' not'}", patience_s=30)

    async def _status(self):
        return await self.api("GET", f"/broadcasts/{self._broadcast['id']}")

    async def stop(self):
        """Ends the broadcast and the recording."""
        await self.api("POST", f"/broadcasts/{self._broadcast['id']}/stop")
        await self.api("POST", f"/recordings/{self._recording}/stop")
        assert (await self.api("GET", f"/recordings/{self._recording}/files"))["items"]

    @property
    def recording(self):
        (folder,) = (path for path in self.parley.data_dir.rglob(self._recording) if path.is_dir())
        return RecordingFolder(folder)
