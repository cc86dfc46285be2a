"""The main job, end to end: browsers meet in a room, and what they agreed to is recorded and goes live.

A and B (Chromium) agree to be recorded and broadcast, C (Firefox) does not. D (grants) and E (none) publish
by WHIP. A partner's RTMP server, HLS and a page that frames the embed are the witnesses outside.
"""

import asyncio
import contextlib
import json
import re
import secrets
import tempfile
import threading
import time
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from tests.browser import chromium, firefox
from tests.browser.page import Capture, until
from tests.browser.parley import serve
from tests.browser.people import Person, enter
from tests.main_job.witnesses import EMBED_WATCH, HlsViewer, RtmpViewer, ThirdPartySite
from tests.support.canary import CanaryWatch
from tests.support.decoded import colours, samples, share_of_colour, tone_level
from tests.support.flash import av_offset_ms, beep_times, flash_and_beep, flash_times
from tests.support.rtmp_server import RtmpServer
from tests.support.rtp_peer import FlashAndBeep, RtpPeer, with_canary_audio, with_canary_video

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

ROOM = "main-job"
RED, BLUE, GREEN = (200, 40, 40), (50, 70, 210), (40, 150, 60)
LOOKS = {"A": RED, "B": BLUE, "C": GREEN}
TONES = {"A": 440, "B": 860, "C": 620}
GRANTS = ("join", "publish", "subscribe", "chat")
CONFIG = """
[broadcast]
allow_private = true
width = 640
height = 360
fps = 15
video_kbps = 900
segment_s = 1.0
"""


STARVED_MS = 100
PROMISE_MS = 250
NOTE_CLICK = """() => document.addEventListener(
    "click", () => { globalThis.clicked_ms = Date.now(); }, { capture: true, once: true })"""


class Starved(Exception):
    """The machine did not keep a control loop's schedule: no figure of this run counts."""


class ControlLoop:
    """Wakes every 10 ms in a thread of its own and notes how late it is: the machine's own lateness."""

    def __init__(self):
        self._stop = threading.Event()
        self.late_ms = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        due = time.monotonic()
        while not self._stop.is_set():
            due += 0.01
            time.sleep(max(due - time.monotonic(), 0))
            late = time.monotonic() - due
            self.late_ms.append(late * 1000)
            if late > 0.1:
                due = time.monotonic()

    def stop(self):
        self._stop.set()
        self._thread.join()

    @property
    def p99_ms(self):
        return float(np.percentile(self.late_ms, 99)) if self.late_ms else 0.0


async def test_what_people_agreed_to_goes_out_and_nothing_else(tmp_path):
    for attempt in (1, 2):
        control = ControlLoop()
        try:
            await main_job(tmp_path / str(attempt))
        except AssertionError as error:
            if control.p99_ms < STARVED_MS:
                raise
            if attempt == 2:
                raise Starved(f"control loop p99 {control.p99_ms:.0f} ms late, twice: {error}") from error
        else:
            return
        finally:
            control.stop()


async def main_job(folder):
    folder.mkdir()
    data_dir = folder / "data"
    data_dir.mkdir()
    config = folder / "parley.toml"
    config.write_text(CONFIG)
    partner = RtmpServer(folder / "partner")
    canaries = {"D": secrets.token_bytes(32), "E": secrets.token_bytes(32)}
    temporary = Path(tempfile.gettempdir())
    async with contextlib.AsyncExitStack() as stack:
        await partner.start()
        stack.push_async_callback(partner.stop)
        parley = await stack.enter_async_context(serve(data_dir, arguments=("--config", str(config))))
        watch = CanaryWatch(
            [data_dir, temporary, Path("/dev/shm")],
            canaries,
            processes=[parley.process.pid],
            skip=[partner.folder],
        )
        stack.callback(watch.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        run = Run(stack, parley, partner, session, canaries, watch)
        await run.open_room()
        await run.publish_by_whip()
        await run.people_join()
        await run.everyone_meets()
        await run.start_recording_and_broadcast()
        await run.people_chat()
        await run.outside_shows_who_agreed()
        await run.partner_restarts()
        await run.b_revokes()
        await run.stop_and_look_at_the_files()


class Run:
    """One run of the scenario; each step asserts what it shows."""

    def __init__(self, stack, parley, partner, session, canaries, watch):
        self.stack = stack
        self.parley = parley
        self.partner = partner
        self.session = session
        self.canaries = canaries
        self.watch = watch
        self.figures = {}

    async def api(self, method, path, body=None, expect=(200, 201, 204)):
        status, answer = await self.parley.api(method, path, body)
        assert status in expect, f"{method} {path}: {status} {answer}"
        return answer

    async def open_room(self):
        await self.api("POST", "/rooms", {"name": ROOM, "mode": "explicit"})
        partner = await self.api(
            "POST",
            "/partners",
            {
                "name": "Partner TV",
                "site": "partner.example",
                "policy_url": "https://partner.example/privacy",
                "terms_version": "2026-11",
                "uses": ["live", "replay"],
            },
        )
        body = {"name": "Main channel", "partner": partner["id"], "kind": "rtmp"}
        rtmp = await self.api(
            "POST", "/destinations", body | {"url": self.partner.url("stream-key-0123456789")}
        )
        hls = await self.api("POST", "/destinations", body | {"name": "Web", "kind": "hls"})
        self.destinations = [rtmp["id"], hls["id"]]
        assert "stream-key" not in str(rtmp)

    async def publish_by_whip(self):
        """D vouches for its consent; E does not, and is let in because nothing runs yet."""
        video, audio = flash_and_beep()
        vouched = {"version": await self.terms_version(), "uses": ["live", "record", "replay"]}
        self.d = await self.whip("D", terms=vouched)
        self.e = await self.whip("E")
        for name, peer in (("D", self.d), ("E", self.e)):
            canary = self.canaries[name]
            player = FlashAndBeep(peer, with_canary_video(video, canary), with_canary_audio(audio, canary))
            self.keep_running(player.run())

    async def terms_version(self):
        async with self.session.get(f"{self.parley.url}/api/v1/terms") as response:
            return (await response.json())["version"]

    async def whip(self, identity, **claims):
        token = self.parley.token(ROOM, identity, name=identity, grants=("publish",), **claims)
        peer = RtpPeer(f"{self.parley.url}/whip/{ROOM}", token)
        await peer.connect(self.session)
        self.stack.push_async_callback(peer.close)
        return peer

    def keep_running(self, coroutine):
        task = asyncio.create_task(coroutine)

        async def end():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.stack.push_async_callback(end)
        return task

    async def people_join(self):
        browser = await self.stack.enter_async_context(chromium.launch())
        fox = await self.stack.enter_async_context(firefox.launch(TONES["C"]))
        self.people = {}
        for name, uses in (("A", True), ("B", True), ("C", False)):
            capture = Capture(LOOKS[name], TONES[name])
            page = await (browser if name != "C" else fox).page(capture)
            self.people[name] = await enter(
                self.parley,
                page,
                ROOM,
                name,
                LOOKS[name],
                TONES[name],
                uses={"live": uses, "record": uses, "replay": uses},
                grants=GRANTS,
            )
        self.browser = browser

    async def everyone_meets(self):
        a, b, c = (self.people[name] for name in "ABC")
        for one, two in ((a, b), (a, c), (b, c)):
            await one.meets(two)

    async def start_recording_and_broadcast(self):
        self.recording = (await self.api("POST", "/recordings", {"room": ROOM}))["id"]
        for name in "ABC":
            await self.answer_notice(self.people[name], name != "C")
        self.broadcast = await self.api(
            "POST", "/broadcasts", {"room": ROOM, "destinations": self.destinations}
        )
        for name in "ABC":
            await self.answer_notice(self.people[name], name != "C")
        await self.until_live()
        self.rtmp = RtmpViewer(self.partner.url("stream-key-0123456789"), LOOKS)
        self.stack.callback(self.rtmp.stop)
        status = await self.api("GET", f"/broadcasts/{self.broadcast['id']}")
        self.hls = HlsViewer(self.session, self.parley.url + status["hls_url"])
        await self.until(self.window_has_segments, "the playlist has segments")
        self.keep_running(self.hls.run())
        await self.frame_the_embed()

    async def window_has_segments(self):
        await self.hls.look()
        return len(self.hls.listed) >= 1

    @staticmethod
    async def answer_notice(person: Person, is_agreed):
        button = "#notice-yes" if is_agreed else "#notice-no"
        await until(person.page, "(s) => document.querySelector(s)?.checkVisibility() ?? false", button)
        await person.page.click(button)
        await until(person.page, "(s) => !document.querySelector(s)", button)

    async def until_live(self):
        async def is_live():
            status = await self.api("GET", f"/broadcasts/{self.broadcast['id']}")
            return all(d["state"] == "live" for d in status["destinations"]), status

        await self.until(is_live, "every destination is live", within_s=30)

    @staticmethod
    async def until(condition, what, within_s=20.0):
        deadline = time.monotonic() + within_s
        while True:
            result = await condition()
            if result[0] if isinstance(result, tuple) else result:
                return
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}; {result}"
            await asyncio.sleep(0.1)

    async def frame_the_embed(self):
        token = self.parley.token(ROOM, "viewer", grants=("subscribe",), external=True)
        self.site = ThirdPartySite(f"{self.parley.url}/embed/{ROOM}#token={token}")
        await self.site.start()
        self.stack.push_async_callback(self.site.stop)
        page = await self.browser.page()
        await page.goto(self.site.url)
        self.embed = next(f for f in page.page.frames if "/embed/" in f.url)
        await self.embed.evaluate(EMBED_WATCH)
        for name in "ABC":  # a site that was not named before is a question of its own
            await self.answer_notice(self.people[name], name != "C")

    async def people_chat(self):
        for name, text in (("A", "hello from A to everyone"), ("C", "this line of C stays inside")):
            await self.people[name].page.fill("#chat-text", text)
            await self.people[name].page.press("Enter")
        await self.people["B"].says_is_shown("hello from A to everyone")
        await self.people["B"].says_is_shown("this line of C stays inside")

        async def embed_has_line():
            return "hello from A to everyone" in await self.embed.evaluate("() => document.body.innerText")

        await self.until(embed_has_line, "the embed shows A's line")
        assert "stays inside" not in await self.embed.evaluate("() => document.body.innerText")

    async def outside_shows_who_agreed(self):
        mark = len(self.hls.segments)
        await self.until(lambda: self.is_true(len(self.hls.segments) >= mark + 3), "three segments more")
        last = list(self.hls.segments.values())[-1]
        for name in "AB":
            assert last.share(LOOKS[name]) > 0.05, f"HLS does not show {name}"
            assert last.tone(TONES[name]) > 0.02, f"HLS does not sound of {name}"
        assert all(s.share(GREEN) < 0.005 for s in list(self.hls.segments.values())[-4:])
        assert last.tone(TONES["C"]) < 0.004
        await self.until(
            lambda: self.is_true(self.rtmp.last_with("A") and self.rtmp.last_with("B")), "RTMP shows A and B"
        )
        assert self.rtmp.last_with("C", share=0.005) is None
        await self.embed_shows("A", silent="B")
        await self.embed_shows("B", silent="A")
        assert not await self.embed_saw(GREEN)

    async def is_true(self, value):
        return bool(value)

    async def embed_shows(self, name, *, silent):
        """The embed follows the active speaker: with the other one muted it shows this one."""
        other = self.people[silent].page
        await other.click("#control-mic")

        async def is_shown():
            sightings = await self.embed.evaluate("() => globalThis.sightings.slice(-3)")
            return bool(sightings) and all(_is_near(s[1:], LOOKS[name]) for s in sightings), sightings

        await self.until(is_shown, f"the embed shows {name}")
        await other.click("#control-mic")

    async def embed_saw(self, rgb):
        sightings = await self.embed.evaluate("() => globalThis.sightings")
        return any(_is_near(s[1:], rgb) for s in sightings)

    async def partner_restarts(self):
        before = self.hls.sequence
        await self.partner.stop()

        async def state():
            status = await self.api("GET", f"/broadcasts/{self.broadcast['id']}")
            states = {d["kind"]: d["state"] for d in status["destinations"]}
            return states["rtmp"] != "live" and states["hls"] == "live", states

        await self.until(state, "the API tells that the partner is gone")
        await self.partner.start()
        await self.until_live()
        assert self.hls.discontinuities == 0, "the partner's restart reached HLS"
        await self.until(lambda: self.is_true(self.hls.sequence > before), "HLS went on")
        mark = len(self.rtmp.seen)
        await self.until(lambda: self.is_true(len(self.rtmp.seen) > mark + 15), "RTMP shows pictures again")

    async def b_revokes(self):
        page = self.people["B"].page
        await self.embed_prefers_b()
        await page.click("#control-consent")
        await until(page, "() => document.querySelector('#revoke')?.checkVisibility() ?? false")
        listed_before = list(self.hls.listed)
        await page.evaluate(NOTE_CLICK)
        await page.click("#revoke")
        told = await until(page, "() => document.querySelector('.measured')?.textContent")
        done_s = time.monotonic()
        called_ms = await page.evaluate("() => globalThis.clicked_ms")
        called_s = time.monotonic() - (time.time() - called_ms / 1000)
        self.sizes_at_revocation = self.file_sizes()
        mark = len(self.hls.segments)
        await self.until(
            lambda: self.is_true(len(self.hls.segments) >= mark + 3), "HLS goes on without B", 30
        )
        after = [s for s in self.hls.segments.values() if s.at_s > done_s]
        assert after
        assert all(s.share(BLUE) < 0.005 for s in after), "HLS shows B after the revocation"
        assert all(s.tone(TONES["B"]) < 0.004 for s in after), "HLS sounds of B after the revocation"
        assert all(s.share(RED) > 0.05 for s in after[-2:]), "A went with B"
        assert {await self.hls.status(name) for name in listed_before[-2:]} == {410}
        await self.until(lambda: self.is_true(self.rtmp.last_with("A") > done_s), "RTMP goes on with A")
        self.sizes_later = self.file_sizes()
        sightings = await self.embed.evaluate("() => globalThis.sightings")
        embed_last = max((s[0] for s in sightings if _is_near(s[1:], BLUE)), default=called_ms)
        rtmp_last = self.rtmp.last_with("B") or called_s
        self.figures |= {
            "call to done, by the server": float(re.search(r"(\d+) ms", told)[1]),
            "rtmp, last picture decoded behind the partner": (rtmp_last - called_s) * 1000,
            "embed, last new picture presented by the page": embed_last - called_ms,
        }
        print("\nrevocation (ms):", {key: round(value) for key, value in self.figures.items()})
        assert max(self.figures.values()) <= 4 * PROMISE_MS

    async def embed_prefers_b(self):
        await self.people["A"].page.click("#control-mic")

        async def is_shown():
            sightings = await self.embed.evaluate("() => globalThis.sightings.slice(-2)")
            return bool(sightings) and all(_is_near(s[1:], BLUE) for s in sightings), sightings

        await self.until(is_shown, "the embed shows B before B revokes")
        await self.people["A"].page.click("#control-mic")

    def file_sizes(self):
        return {path.name: path.stat().st_size for path in self.recording_folder.glob("*.*")}

    @property
    def recording_folder(self):
        (folder,) = (path for path in self.parley.data_dir.rglob(self.recording) if path.is_dir())
        return folder

    async def stop_and_look_at_the_files(self):
        await self.api("POST", f"/broadcasts/{self.broadcast['id']}/stop")
        await self.api("POST", f"/recordings/{self.recording}/stop")
        assert (await self.api("GET", f"/recordings/{self.recording}/files"))["items"]
        self.watch.close()
        print(f"canary watch: {self.watch.samples} samples, longest pause {self.watch.longest_pause_s:.2f} s")
        assert not self.watch.found["E"], f"E's media was written: {self.watch.found['E']}"
        assert self.watch.found["D"], "the control: D's media was recorded and the watch sees it"
        recorded = Recorded(self.recording_folder)
        assert recorded.names == {"A", "B", "D"}
        for name in "AB":
            pictures, sound = colours(recorded.file(name, "video")), samples(recorded.file(name, "audio"))
            assert share_of_colour(pictures[len(pictures) // 2], LOOKS[name]) > 0.5
            assert tone_level(sound[: 48_000 * 3], TONES[name]) > 0.02
        self.assert_growth(recorded)
        flashes, beeps = (
            times(recorded.file("D", kind)) for times, kind in ((flash_times, "video"), (beep_times, "audio"))
        )
        offset = av_offset_ms(flashes, beeps)
        print(f"A/V offset of D's files: {offset:.1f} ms over {len(beeps)} beeps")
        assert abs(offset) <= 60
        chat = (self.recording_folder / "chat.jsonl").read_text()
        assert "hello from A to everyone" in chat
        assert "stays inside" not in chat

    def assert_growth(self, recorded):
        """After the revocation A's files grew and B's did not."""
        grew = {
            name for name, size in self.sizes_later.items() if size > self.sizes_at_revocation.get(name, 0)
        }
        assert any(name.startswith(recorded.person("A")) for name in grew), "the recording went on with A"
        assert not any(name.startswith(recorded.person("B")) for name in grew), "B's files grew"


class Recorded:
    """A finished recording as its manifest tells it."""

    def __init__(self, folder):
        self._folder = folder
        self._manifest = json.loads((folder / "manifest.json").read_text())["manifest"]

    @property
    def names(self):
        return {entry["name"] for entry in self._manifest["people"]}

    def person(self, name):
        return next(entry["person"] for entry in self._manifest["people"] if entry["name"] == name)

    def file(self, name, kind):
        """The largest file of a person."""
        entries = [
            e for e in self._manifest["files"] if e["person"] == self.person(name) and e["kind"] == kind
        ]
        return str(self._folder / max(entries, key=lambda entry: entry["frames"])["name"])


def _is_near(colour, rgb, tolerance=45):
    return all(abs(a - b) < tolerance for a, b in zip(colour, rgb, strict=True))
