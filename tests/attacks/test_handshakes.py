"""Handshakes that are not meant to come to an end, or not by who they should (rows 9 and 10)."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator

import aiohttp
import psutil
import pytest
import pytest_asyncio

from sfu.sdp import parse
from sfu.transport import DtlsIdentity, IceClient, IceConnected, SendStun
from tests.attacks.call import Caller, Footprint, call, terms_of
from tests.browser.parley import Parley, serve
from tests.support.figures import tell
from tests.support.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("a running server"),
]

HANDSHAKE_S = 2.0
DRIP_S = 0.05
HELLO_BYTES = 4_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parley]:
    """A server that gives handshakes two seconds."""
    folder = tmp_path_factory.mktemp("handshakes")
    config = folder / "parley.toml"
    config.write_text(f"[media]\nhandshake_s = {HANDSHAKE_S}\n")
    async with serve(folder / "data", arguments=("--config", str(config))) as running:
        yield running


class Dripper(Caller):
    """Proves its path, and then sends its ClientHello in pieces that never make one."""

    def __init__(self) -> None:
        super().__init__()
        self.is_through = False
        self._pieces = random.Random(1)
        self._sequence = 0

    def check(self, answer: str) -> None:
        media = parse(answer).media[0]
        remote = (media.ice_ufrag or "", media.ice_pwd or "")
        now = asyncio.get_running_loop().time()
        self._ice = IceClient(
            local=(self.ufrag, self.pwd),
            remote=remote,
            socket=0,
            ip="127.0.0.1",
            port=9,
            rng=self.rng,
            now=now,
        )

    def _take(self, data: bytes) -> None:
        if data[0] < 4:
            self._ice.receive(data, 0, "127.0.0.1", 9, asyncio.get_running_loop().time())

    def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        due = self._ice.deadline()
        if due is not None and now >= due:
            self._ice.tick(now)
        for effect in self._ice.poll():
            if isinstance(effect, SendStun):
                self.line.send(effect.data)
            elif isinstance(effect, IceConnected):
                self.is_through = True

    def drip(self) -> None:
        """One fragment, with gaps and overlaps towards the others (RFC 6347 section 4.2.2)."""
        start = self._pieces.randrange(0, HELLO_BYTES - 1_000)
        body = self._pieces.randbytes(self._pieces.randrange(1, 200))
        sizes = (HELLO_BYTES.to_bytes(3, "big"), start.to_bytes(3, "big"), len(body).to_bytes(3, "big"))
        handshake = b"\x01" + sizes[0] + b"\0\0" + sizes[1] + sizes[2] + body
        self._sequence += 1
        head = b"\x16\xfe\xff\0\0" + self._sequence.to_bytes(6, "big")
        self.line.send(head + len(handshake).to_bytes(2, "big") + handshake)


async def is_inside(parley: Parley, room: str, identity: str) -> bool:
    status, _ = await parley.api("GET", f"/rooms/{room}/participants/{identity}")
    return status == 200


async def test_a_dripped_handshake_ends_at_the_configured_deadline_and_costs_a_call_nothing(
    parley: Parley,
) -> None:
    async with call(parley) as running:
        terms = await terms_of(running.http, parley)
        token = parley.token(running.room, "eve", grants=("join", "publish"), terms=terms)
        eve = Dripper()
        url = f"{parley.url}/whip/{running.room}"
        eve.check(await eve.post(running.http, url, token, "chromium-offer-sendonly-av"))
        async with asyncio.timeout(5):
            while not eve.is_through:
                await eve.pump(0.02)
        server = psutil.Process(parley.process.pid)
        before, cpu_before = Footprint.of(parley), sum(server.cpu_times()[:2])
        began = time.monotonic()
        ended: list[float] = []

        async def attack() -> None:
            while time.monotonic() - began < HANDSHAKE_S + 3:
                eve.drip()
                await eve.pump(DRIP_S)
                if not ended and not await is_inside(parley, running.room, "eve"):
                    ended.append(time.monotonic() - began)

        lost, _ = await asyncio.gather(running.talk(HANDSHAKE_S + 3), attack())
        cpu_s = sum(server.cpu_times()[:2]) - cpu_before
        tell(f"ended after {ended} s; the server used {cpu_s:.2f} s of CPU meanwhile")
        assert lost == 0
        assert HANDSHAKE_S - 0.1 <= ended[0] <= HANDSHAKE_S + 2
        assert cpu_s < 2.5
        before.assert_not_outgrown(Footprint.of(parley), rss_mib=8, log_lines=160)
        log = parley.log.read_text()
        assert "handshake_timeout" in log
        assert "Traceback" not in log
        eve.line.close()


async def test_dripped_handshakes_of_many_leave_room_for_a_join_and_are_gone_afterwards(
    parley: Parley,
) -> None:
    async with aiohttp.ClientSession() as http:
        terms = await terms_of(http, parley)
        before = Footprint.of(parley)
        attackers = [Dripper() for _ in range(40)]
        for number, eve in enumerate(attackers):
            token = parley.token("crowd", f"eve{number}", grants=("join", "publish"), terms=terms)
            eve.check(await eve.post(http, f"{parley.url}/whip/crowd", token, "chromium-offer-sendonly-av"))
        async with asyncio.TaskGroup() as group:

            async def attack(eve: Dripper) -> None:
                until = time.monotonic() + HANDSHAKE_S + 1
                while time.monotonic() < until:
                    if eve.is_through:
                        eve.drip()
                    await eve.pump(DRIP_S)

            for eve in attackers:
                group.create_task(attack(eve))
            async with call(parley) as running:
                assert await running.talk(0.5) == 0
        for eve in attackers:
            eve.line.close()

        async def are_gone() -> bool:
            return not (await parley.api("GET", "/rooms/crowd/participants"))[1].get("items")

        await until(are_gone, "the end of all", patience_s=10)
        before.assert_not_outgrown(Footprint.of(parley), rss_mib=24, log_lines=400, fds=4)


async def test_a_certificate_of_another_fingerprint_gets_no_media_in_or_out(parley: Parley) -> None:
    async with call(parley) as running:
        terms = await terms_of(running.http, parley)
        token = parley.token(running.room, "eve", grants=("join", "publish"), terms=terms)
        eve = Caller()
        theirs = DtlsIdentity.generate().fingerprint.value
        sign = eve.sign
        eve.sign = lambda sdp, *, drop="": _with_fingerprint(sign(sdp, drop=drop), theirs)
        url = f"{parley.url}/whip/{running.room}"
        answer = await eve.post(running.http, url, token, "chromium-offer-sendonly-av")
        watcher = Caller()
        token = parley.token(running.room, "wim", grants=("join", "subscribe"), terms=terms)
        url = f"{parley.url}/whep/{running.room}/eve"
        await watcher.connect(await watcher.post(running.http, url, token, "chromium-offer-recvonly-av"))
        # The client believes that it is through; the server has closed by the time its media comes.
        await eve.connect(answer)
        for number in range(20):
            eve.send(eve.audio(number))
            await asyncio.gather(eve.pump(0.02), watcher.pump(0.02))
        assert eve.is_closed_by_server
        assert watcher.heard() == []
        eve.line.close()
        await watcher.leave(running.http)

        async def is_gone() -> bool:
            return not await is_inside(parley, running.room, "eve")

        await until(is_gone, "the end of the impostor", patience_s=5)
        assert "fingerprint" in parley.log.read_text()
        assert await running.talk(0.4) == 0


def _with_fingerprint(sdp: str, value: str) -> str:
    return re.sub(r"a=fingerprint:.*\r", f"a=fingerprint:sha-256 {value}\r", sdp)
