"""A small call through a real `parley serve`, with full control over every datagram of its peers."""

import asyncio
import contextlib
import itertools
import re
import secrets
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from urllib.parse import urljoin

import aiohttp
import psutil

from sfu.engine.fake.rtp import FakeRtp
from sfu.engine.types import PathKind
from tests.browser.parley import Parley
from tests.sfu.client import MediaClient

AUDIO_SSRC, AUDIO_PT, MID_EXTENSION = 3970034345, 111, 4
"""What the captured Chromium offer of a publisher says."""

PACKETS_PER_S = 50
_SETTLES_STEPS = 50
_rooms = itertools.count(1)


class Line:
    """A `Wire` to the address that a server's description names."""

    kind: PathKind = "udp"

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.ip, self.port = self.socket.getsockname()
        self._arrived = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.target: tuple[str, int] | None = None
        self.before_send: Callable[[bytes], None] = lambda data: None
        self.after_send: Callable[[bytes], None] = lambda data: None

    def aim(self, port: int) -> None:
        """Send to this port of the address that was found in the answer."""
        assert self.target is not None
        self.target = (self.target[0], port)

    def send(self, data: bytes) -> None:
        assert self.target is not None
        self.before_send(data)
        with contextlib.suppress(BlockingIOError):
            self.socket.sendto(data, self.target)
        self.after_send(data)

    async def receive(self, timeout_s: float = 5.0) -> bytes | None:
        """The next datagram, or None; one that comes just when the time is over waits for the next call."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            loop.add_reader(self.socket, self._arrived.set)
        until = loop.time() + timeout_s
        while True:
            self._arrived.clear()
            with contextlib.suppress(BlockingIOError):
                return self.socket.recv(4096)
            try:
                async with asyncio.timeout_at(until):
                    await self._arrived.wait()
            except TimeoutError:
                return None

    def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self.socket)
        self.socket.close()


class Caller(MediaClient):
    """One WHIP publisher or WHEP viewer."""

    def __init__(self) -> None:
        self.line = Line()
        super().__init__(self.line, seed=secrets.randbits(64))
        self._url = self._token = ""
        self.resource = ""
        self.remote_ufrag = ""

    async def post(
        self, http: aiohttp.ClientSession, url: str, token: str, capture: str, *, drop: str = ""
    ) -> str:
        """Offers what was captured from a browser; the answer, its address noted."""
        self._url, self._token = url, token
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        async with http.post(url, data=self.offer(capture, drop=drop).encode(), headers=headers) as response:
            answer = await response.text()
            assert response.status == 201, answer
            self.resource = response.headers["Location"]
        found = re.findall(r"a=candidate:\S+ 1 udp \d+ (127\.\S+) (\d+) typ host", answer)
        self.remote_ufrag = re.findall(r"a=ice-ufrag:(\S+)", answer)[0]
        self.line.target = (found[0][0], int(found[0][1]))
        return answer

    async def leave(self, http: aiohttp.ClientSession) -> None:
        """Ends the resource and closes the line."""
        if self.resource:
            headers = {"Authorization": f"Bearer {self._token}"}
            async with http.delete(urljoin(self._url, self.resource), headers=headers):
                pass
        self.line.close()

    def audio(self, number: int, *, ssrc: int = AUDIO_SSRC) -> FakeRtp:
        """One Opus packet of silence that carries its number."""
        body = b"\xf8\xff\xfe" + struct.pack("!I", number)
        return FakeRtp(
            AUDIO_PT, number & 0xFFFF, 960 * number & 0xFFFF_FFFF, ssrc, body, False, {MID_EXTENSION: b"0"}
        )

    def heard(self) -> list[int]:
        """The numbers of the audio packets that came."""
        return [
            struct.unpack("!I", packet.payload[3:])[0]
            for packet in self.received
            if len(packet.payload) == 7 and packet.payload.startswith(b"\xf8\xff\xfe")
        ]


@dataclass
class Call:
    """A publisher whose packets are numbered and a viewer that says which came."""

    parley: Parley
    room: str
    http: aiohttp.ClientSession
    publisher: Caller
    viewer: Caller
    number: int = 60_000

    @property
    def target(self) -> tuple[str, int]:
        """Where the server takes media."""
        assert self.publisher.line.target is not None
        return self.publisher.line.target

    async def talk(self, seconds: float) -> int:
        """Sends audio at its pace for a while; how many packets did not come through.

        The first number lies shortly before 65536, so that a call of some seconds rolls over.
        """
        first, count = self.number, int(seconds * PACKETS_PER_S)
        self.number += count
        self.viewer.received.clear()
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for caller in (self.publisher, self.viewer):
                group.create_task(_pump(caller, done))
            started = time.monotonic()
            for sent in range(count):
                self.publisher.send(self.publisher.audio(first + sent))
                await asyncio.sleep(max(0.0, started + (sent + 1) / PACKETS_PER_S - time.monotonic()))
            wanted = set(range(first, first + count))
            for _ in range(_SETTLES_STEPS):
                if wanted <= set(self.viewer.heard()):
                    break
                await asyncio.sleep(0.02)
            done.set()
        return len(wanted - set(self.viewer.heard()))

    async def listen(self, seconds: float) -> None:
        """Keeps both peers alive and takes what comes, without sending media."""
        async with asyncio.TaskGroup() as group:
            for caller in (self.publisher, self.viewer):
                group.create_task(caller.pump(seconds))


async def _pump(caller: Caller, done: asyncio.Event) -> None:
    while not done.is_set():
        await caller.pump(0.05)


async def terms_of(http: aiohttp.ClientSession, parley: Parley) -> dict[str, object]:
    """The claim by which an embedder vouches that its user accepted the terms."""
    async with http.get(f"{parley.url}/api/v1/terms") as response:
        version = (await response.json())["version"]
    return {"version": version, "uses": ["live", "record", "replay"]}


@contextlib.asynccontextmanager
async def call(parley: Parley) -> AsyncIterator[Call]:
    """A publisher and a viewer, connected, and the first packet through."""
    room = f"call-{next(_rooms)}"
    async with aiohttp.ClientSession() as http:
        publisher, viewer = Caller(), Caller()
        try:
            vouched = {"terms": await terms_of(http, parley)}
            token = parley.token(room, "ada", grants=("join", "publish"), **vouched)
            answer = await publisher.post(
                http, f"{parley.url}/whip/{room}", token, "chromium-offer-sendonly-av"
            )
            await publisher.connect(answer)
            token = parley.token(room, "bo", grants=("join", "subscribe"), **vouched)
            answer = await viewer.post(
                http, f"{parley.url}/whep/{room}/ada", token, "chromium-offer-recvonly-av"
            )
            await viewer.connect(answer)
            running = Call(parley, room, http, publisher, viewer)
            viewer.send_receiver_report()
            for _ in range(20):
                if await running.talk(0.1) == 0:
                    break
            else:
                raise AssertionError("no audio comes through")
            running.number = max(running.number, 65_400)
            yield running
        finally:
            for caller in (viewer, publisher):
                await caller.leave(http)


@contextlib.asynccontextmanager
async def watching(running: Call, identity: str) -> AsyncIterator[Caller]:
    """A viewer of one participant."""
    viewer = Caller()
    try:
        token = running.parley.token(running.room, f"viewer of {identity}", grants=("join", "subscribe"))
        url = f"{running.parley.url}/whep/{running.room}/{identity}"
        await viewer.connect(await viewer.post(running.http, url, token, "chromium-offer-recvonly-av"))
        viewer.send_receiver_report()
        yield viewer
    finally:
        await viewer.leave(running.http)


@contextlib.contextmanager
def stranger(target: tuple[str, int]):
    """A socket of somebody whom the server has never seen, as `send(data)` and `answers()`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unknown:
        unknown.bind(("127.0.0.1", 0))
        unknown.setblocking(False)
        yield Stranger(unknown, target)


@dataclass
class Stranger:
    """Sends anything; counts what comes back."""

    socket: socket.socket
    target: tuple[str, int]
    sent_bytes: int = 0

    def send(self, data: bytes) -> None:
        self.sent_bytes += len(data)
        with contextlib.suppress(BlockingIOError):
            self.socket.sendto(data, self.target)

    def answers(self) -> list[bytes]:
        """What has come back so far."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.socket.recv(4096))
        return found


@dataclass(frozen=True)
class Footprint:
    """What a server holds: memory, descriptors, threads and lines of its log."""

    rss_mib: float
    fds: int
    threads: int
    log_lines: int

    @classmethod
    def of(cls, parley: Parley) -> "Footprint":
        process = psutil.Process(parley.process.pid)
        return cls(
            process.memory_info().rss / (1 << 20),
            process.num_fds(),
            process.num_threads(),
            parley.log.read_bytes().count(b"\n"),
        )

    def assert_not_outgrown(self, by: "Footprint", *, rss_mib: float, log_lines: int, fds: int = 0) -> None:
        """Fails when the later footprint is larger than this one by more than that."""
        assert by.rss_mib - self.rss_mib < rss_mib, (self, by)
        assert by.fds - self.fds <= fds, (self, by)
        assert by.threads <= self.threads + 2, (self, by)
        assert by.log_lines - self.log_lines <= log_lines, (self, by)
