"""What goes wrong at real sites, of every kind at once: the API says so in time, and nobody else notices.

nginx with its RTMP module, ffmpeg listening for SRT, and this project's own server for WHIP each suffer the
same fault; another site and HLS are witnesses, and the times of the packets that they were sent have no gap.
"""

import asyncio
import contextlib
import io
import itertools
import os
import random
import signal
import socket
import time

import av
import pytest

from bench.studio.whip_site import KEPT, WhipSite
from rebroadcast import BroadcastInvalid
from rebroadcast.worker.destination import RETRY_FIRST_S
from store import Secret
from tests.browser.parley import free_port, serve
from tests.rebroadcast.house import CONFIG, ROOM, house, until
from tests.support.promises import STARVED_FACTOR, assert_promised
from tests.support.srt_listener import SrtListener

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

KINDS = ("rtmp", "srt", "whip")
TRUTH_S = 2.0
"""Within so long the API tells what is true at the site."""
REPORTS_S = 3.5
"""By then it is known how often a WHIP server reports."""
LOSSY_S = 15.0
PASSPHRASE = "correct horse battery"
WHIP_ROOM = "there"
SMALL_SRT_BUFFER = {"ffs": "64", "rcvbuf": "98304"}
"""A receiver's: about two seconds of the program."""
NOWHERE = ("rtmp://nowhere.invalid/live", "srt://nowhere.invalid:9000", "https://nowhere.invalid/whip")
"""Where destinations were whose names nobody knows any more."""
PICTURE_GAP_S = STARVED_FACTOR * 3 / CONFIG.fps
"""A program leaves pictures out on a machine that is busy with other tests; sound has no gap at all."""
SOUND_GAP_S = 2 * 1024 / 48_000


class Slow:
    """Takes connections for a site, and reads so slowly from whoever sends that most must be left out."""

    BYTES_PER_S = 16_000

    def __init__(self, port):
        self._port = port
        self._tasks = []
        self.is_slow = False
        self.taken = 0

    async def start(self):
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0, limit=4096)
        return self._server.sockets[0].getsockname()[1]

    async def stop(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, reader, writer):
        there_reader, there = await asyncio.open_connection("127.0.0.1", self._port)
        self._tasks += [
            asyncio.create_task(self._copy(reader, there, counts=True)),
            asyncio.create_task(self._copy(there_reader, writer)),
        ]

    async def _copy(self, source, sink, *, counts=False):
        with contextlib.closing(sink):
            while data := await source.read(1600):
                sink.write(data)
                await sink.drain()
                if counts:
                    self.taken += len(data)
                    if self.is_slow:
                        await asyncio.sleep(len(data) / self.BYTES_PER_S)


def assert_continuous(packets):
    """`packets`: (kind, seconds) in their order; no time is missing between them."""
    times = {"video": [], "audio": []}
    for kind, at_s in packets:
        times[kind].append(at_s)
    for kind, most in (("video", PICTURE_GAP_S), ("audio", SOUND_GAP_S)):
        gaps = [after - before for before, after in itertools.pairwise(times[kind])]
        assert len(gaps) > CONFIG.fps
        assert min(gaps) >= 0, kind
        assert max(gaps) <= most + 0.002, f"{kind}: {max(gaps):.3f} s at {gaps.index(max(gaps))}"


def packets_of(file):
    """(kind, decoding time in seconds) of every packet."""
    with av.open(file, "r") as container:
        return [
            (packet.stream.type, float(packet.dts * packet.time_base))
            for packet in container.demux()
            if packet.dts is not None
        ]


class Sites:
    """One site of each kind, each with a destination, and two witnesses."""

    def __init__(self, stack, folder, home):
        self._stack, self._folder, self.home = stack, folder, home
        self._whip_ports = free_port(), free_port(socket.SOCK_DGRAM)
        self.whip = None

    async def open(self):
        self.witness, self.rtmp = await asyncio.gather(self.home.site("witness"), self.home.site("rtmp"))
        self.slow, self.srt = Slow(self.rtmp.port), SrtListener(self._folder, passphrase=PASSPHRASE)
        self.slow_port = await self.slow.start()
        self._stack.push_async_callback(self.slow.stop)
        await self.srt.start()
        self._stack.push_async_callback(self.srt.stop)

    async def serve_whip(self):
        """Starts the WHIP server, or another one in its place."""
        serving = serve(self._folder / "there", ports=self._whip_ports)
        self.whip = await self._stack.enter_async_context(serving)

    def signal_whip(self, number):
        if self.whip is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.whip.process.pid, number)

    async def start(self, chosen):
        """A broadcast to the witnesses, and to these."""
        ada = await self.home.enter("ada")
        witnesses = [await self.home.destination(self.witness), await self.home.destination()]
        self.info = await self.home.broadcasts.start(ROOM, [*witnesses, *chosen])
        await ada.acknowledge()

    def of(self, kind):
        """How the first destination of that kind is doing that is not a witness."""
        _, _, *others = self.home.running(self.info).destinations
        return next(status for status in others if status.kind == kind)

    async def all(self, *states, kinds=KINDS):
        await until(
            lambda: all(self.of(kind).state in states for kind in kinds),
            f"{states}, only {self.home.running(self.info).destinations}",
            30,
        )

    async def truth(self, fault, *states, since=None, within_s=TRUTH_S, kinds=KINDS):
        """Each is told to be in one of these states in time; `since`: when what is told began to be true."""
        began, waiting = since or time.monotonic(), set(kinds)
        while waiting:
            for kind in [kind for kind in waiting if self.of(kind).state in states]:
                what = f"{fault}: {kind} told as {self.of(kind).state}"
                assert_promised(what, time.monotonic() - began, within_s)
                waiting.discard(kind)
            late = f"{[self.of(kind) for kind in waiting]}"
            assert time.monotonic() - began < within_s * STARVED_FACTOR, late
            await asyncio.sleep(0.05)

    async def destination(self, kind, **changes):
        """Where a stream of that kind goes when nothing is wrong with it."""
        match kind:
            case "rtmp":
                right = {"url": f"rtmp://127.0.0.1:{self.rtmp.port}/live", "key": "stream-key-0123456789"}
            case "srt":
                secret = PASSPHRASE.replace(" ", "%20")
                right = {"url": f"srt://127.0.0.1:{self.srt.port}?passphrase={secret}"}
            case "whip" if "url" in changes:
                right = {"key": "token"}
            case "whip":
                if self.whip is None:
                    await self.serve_whip()
                token = self.whip.token(WHIP_ROOM, "program", grants=("join", "publish"))
                right = {"url": f"{self.whip.url}/whip/{WHIP_ROOM}", "key": token}
        partner = await self.home.partner()
        known = {"name": "There", "partner": partner, "kind": kind, "url": None, "key": None, "rooms": ()}
        return (await self.home.broadcasts.add_destination(**(known | right | changes))).id

    async def begin(self):
        """Every kind is live."""
        await self.start([await self.destination(kind) for kind in KINDS])
        await self.all("live")

    async def end(self):
        """Stop; the witnesses were sent everything in time."""
        witnesses = self.home.running(self.info).destinations[:2]
        assert [(one.kind, one.state) for one in witnesses] == [("rtmp", "live"), ("hls", "live")]
        listed, playlist = self.home.segments(self.info), self.home.playlist(self.info)
        await self.home.broadcasts.stop(self.info.id)
        await self.witness.stop()
        (recording,) = self.witness.recordings
        assert_continuous(packets_of(str(recording)))
        assert "#EXT-X-DISCONTINUITY" not in playlist.splitlines()
        assert_continuous([packet for _, file in listed for packet in packets_of(io.BytesIO(file))])


@pytest.fixture
async def sites(tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        made = Sites(stack, tmp_path, await stack.enter_async_context(house(tmp_path)))
        await made.open()
        yield made
        made.signal_whip(signal.SIGCONT)


@pytest.fixture
async def whip_site():
    site = WhipSite(lambda *_: None, lambda *_: None)
    await site.start()
    yield site
    await site.stop()


async def test_sites_that_hang_are_degraded_and_live_again_when_they_read(sites):
    await sites.begin()
    await asyncio.sleep(REPORTS_S)
    sites.rtmp.freeze()
    sites.srt.freeze()
    sites.signal_whip(signal.SIGSTOP)
    try:
        await sites.truth("a hang", "degraded", "backing_off")
    finally:
        sites.rtmp.thaw()
        sites.srt.thaw()
        sites.signal_whip(signal.SIGCONT)
    await sites.truth("after a hang", "live")
    await sites.end()


async def test_sites_that_die_are_left_and_found_again(sites):
    await sites.begin()
    await asyncio.sleep(REPORTS_S)
    began = time.monotonic()
    sites.signal_whip(signal.SIGKILL)
    await sites.srt.stop()
    await sites.rtmp.stop()
    await sites.truth("a death", "backing_off", "connecting", "degraded", since=began)
    assert sites.of("rtmp").reason
    await asyncio.gather(sites.rtmp.start(), sites.srt.start(), sites.serve_whip())
    # A pause between two attempts is never longer than all before it and the first one.
    pause_s = time.monotonic() - began + RETRY_FIRST_S
    await sites.truth("after a death", "live", within_s=round(pause_s + TRUTH_S, 1))
    await sites.end()


async def test_sites_that_read_slowly_lose_pictures_and_nobody_else_does(sites, whip_site):
    await sites.srt.stop()
    await sites.srt.start(reads_at=0.1, **SMALL_SRT_BUFFER)
    await sites.start(
        [
            await sites.destination("rtmp", url=f"rtmp://127.0.0.1:{sites.slow_port}/live"),
            await sites.destination("srt"),
            await sites.destination("whip", url=whip_site.url),
        ]
    )
    await until(lambda: all(sites.of(kind).bytes_acknowledged for kind in KINDS), "that they take something")
    sites.slow.is_slow = whip_site.is_slow = True
    seen = {kind: set() for kind in KINDS}

    def known():
        witness = sites.home.running(sites.info).destinations[0]
        return sites.slow.taken, sites.srt.received, whip_site.taken, witness.bytes_acknowledged

    before, began = known(), time.monotonic()
    while (passed := time.monotonic() - began) < 3:
        for kind in KINDS:
            seen[kind].add(sites.of(kind).state)
        await asyncio.sleep(0.1)
    rtmp, srt, whip, whole = [(after - then) / passed for after, then in zip(known(), before, strict=True)]
    assert 0.2 * Slow.BYTES_PER_S < rtmp < 2 * Slow.BYTES_PER_S, "the control: it is slow"
    assert srt < whole / 2, "the control: so is this"
    assert 0 < whip < whole / 2, "the control: and this"
    for kind in KINDS:
        assert seen[kind] <= {"live", "degraded"}, f"{kind}: {seen[kind]}"
    await sites.end()


async def test_a_whip_site_that_falls_silent_is_degraded_and_live_again_when_it_reports(sites, whip_site):
    await sites.start([await sites.destination("whip", url=whip_site.url)])
    await sites.all("live", kinds=["whip"])
    await asyncio.sleep(REPORTS_S)
    whip_site.is_mute = True
    await sites.truth("silence", "degraded", "backing_off", kinds=["whip"])
    taken = whip_site.taken
    await until(lambda: whip_site.taken > taken, "the control: it is sent to all the same")
    whip_site.is_mute = False
    await sites.truth("after silence", "live", kinds=["whip"])
    await sites.end()


class LossyWhipSite(WhipSite):
    """A WHIP server behind a path that loses one packet in twenty, each way."""

    LOST = 0.05

    @property
    def is_mute(self):
        return self.loses and random.random() < self.LOST

    @is_mute.setter
    def is_mute(self, value):
        self.loses = value

    @property
    def is_slow(self):
        return self.loses and random.random() < self.LOST * KEPT / (KEPT - 1)

    @is_slow.setter
    def is_slow(self, value):
        self.loses = value


async def test_a_whip_site_behind_a_path_that_loses_packets_is_live_all_the_time(sites):
    site = LossyWhipSite(lambda *_: None, lambda *_: None)
    await site.start()
    try:
        await sites.start([await sites.destination("whip", url=site.url)])
        await sites.all("live", kinds=["whip"])
        await asyncio.sleep(REPORTS_S)
        site.loses = True
        until_s, taken = time.monotonic() + LOSSY_S, site.taken
        while time.monotonic() < until_s:
            assert sites.of("whip").state == "live", sites.of("whip")
            await asyncio.sleep(0.05)
        assert site.taken > taken
        await sites.end()
    finally:
        await site.stop()


async def test_sites_that_refuse_mid_way_are_told_with_their_words(sites):
    await sites.begin()
    began = time.monotonic()
    status, _ = await sites.whip.api(
        "POST", f"/rooms/{WHIP_ROOM}/participants/program/actions", {"action": "ban"}
    )
    assert status == 204
    await sites.rtmp.stop()
    await sites.rtmp.start(publishes=False)
    await sites.srt.stop()
    await sites.srt.start(passphrase="another one entirely")
    await sites.truth("a refusal mid-way", "backing_off", "connecting", "degraded", since=began)
    seen = {kind: set() for kind in KINDS}

    def is_told():
        for kind in KINDS:
            seen[kind].add(sites.of(kind).state)
        return all("backing_off" in states for states in seen.values())

    await until(is_told, f"the refusals, only {seen}")
    assert not any("live" in states for states in seen.values()), f"what was refused: {seen}"
    for kind in ("rtmp", "srt"):
        assert sites.of(kind).state in {"backing_off", "connecting"}
        assert sites.of(kind).reason
    await sites.end()


async def test_wrong_keys_and_names_that_resolve_to_nothing_never_look_live(sites):
    wrong = {
        "rtmp": {"url": f"rtmp://127.0.0.1:{sites.rtmp.port}/closed"},
        "srt": {"url": f"srt://127.0.0.1:{sites.srt.port}?passphrase=not-the-right-one"},
        "whip": {"key": "canary-token"},
    }
    with pytest.raises(BroadcastInvalid, match="does not resolve"):
        await sites.destination("rtmp", url="rtmp://nowhere.invalid/live")
    chosen = [await sites.destination(kind, **wrong[kind]) for kind in KINDS]
    lost = [
        await sites.home.store.destinations.add(
            name="Lost", partner=await sites.home.partner(), kind=kind, url=url, key=Secret("stream-key")
        )
        for kind, url in zip(KINDS, NOWHERE, strict=True)
    ]
    chosen += [row.id for row in lost]
    await sites.start(chosen)
    began, seen = time.monotonic(), {kind: set() for kind in KINDS}

    def is_told():
        for kind in KINDS:
            seen[kind].add(sites.of(kind).state)
        return all("backing_off" in states for states in seen.values())

    await until(is_told, f"the refusals, only {seen}")
    assert_promised("wrong keys", time.monotonic() - began, TRUTH_S)
    assert not any("live" in states for states in seen.values())
    for status in sites.home.running(sites.info).destinations[-len(KINDS) :]:
        assert (status.state, status.reason) == ("backing_off", "the host 'nowhere.invalid' does not resolve")
    told = " ".join(sites.of(kind).reason or "" for kind in KINDS)
    assert "401" in told
    assert not [secret for secret in ("canary-token", "not-the-right-one", "stream-key") if secret in told]
    await until(lambda: sites.witness.recordings and sites.home.states(sites.info)[0] == "live", "live")
    await asyncio.sleep(2)
    await sites.end()
