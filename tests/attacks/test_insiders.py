"""What a member's own connection can do to others by what it sends: nothing (rows 3, 6, 13, 14)."""

import asyncio
import contextlib
import itertools
import os
import random
import struct
from collections.abc import AsyncIterator

import pytest
from pylibsrtp import Error

from tests.attacks.call import AUDIO_PT, AUDIO_SSRC, Call, Caller, Footprint, call, terms_of, watching
from tests.browser.parley import Parley

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("a running server"),
]

BEA = 1_000_000
"""Where the numbers of the second publisher begin."""


@contextlib.asynccontextmanager
async def publishing(running: Call, identity: str, room: str = "") -> AsyncIterator[Caller]:
    """Another publisher, who sends by the same SSRCs as the first."""
    caller = Caller()
    room = room or running.room
    try:
        terms = await terms_of(running.http, running.parley)
        token = running.parley.token(room, identity, grants=("join", "publish"), terms=terms)
        url = f"{running.parley.url}/whip/{room}"
        await caller.connect(await caller.post(running.http, url, token, "chromium-offer-sendonly-av"))
        yield caller
    finally:
        await caller.leave(running.http)


def assert_log_is_calm(parley: Parley) -> None:
    log = parley.log.read_text()
    assert "Traceback" not in log
    assert '"level": "error"' not in log


async def test_packets_too_short_for_a_cipher_cost_a_call_nothing(parley: Parley) -> None:
    async with call(parley) as running:
        before = Footprint.of(parley)

        async def attack() -> None:
            for size in range(65):
                for first in (b"\x80\x6f", b"\x90\x6f", b"\x80\xc8", b"\x81\xc9", b"\xbf\xcd"):
                    datagram = (first + os.urandom(64))[:size]
                    running.publisher.line.send(datagram)
                    running.viewer.line.send(datagram)
                await asyncio.sleep(0.01)

        lost, _ = await asyncio.gather(running.talk(1.2), attack())
        assert lost == 0
        before.assert_not_outgrown(Footprint.of(parley), rss_mib=8, log_lines=2)


async def test_two_publishers_of_one_ssrc_stay_apart(parley: Parley) -> None:
    async with (
        call(parley) as running,
        publishing(running, "bea") as bea,
        watching(running, "bea") as hers,
    ):

        async def speak() -> None:
            for number in range(BEA, BEA + 100):
                bea.send(bea.audio(number, ssrc=AUDIO_SSRC))
                await asyncio.gather(bea.pump(0.01), hers.pump(0.01))

        lost, _ = await asyncio.gather(running.talk(2.0), speak())
        await hers.pump(0.2)
        assert lost == 0
        assert not [number for number in running.viewer.heard() if number >= BEA]
        heard = hers.heard()
        assert len(set(heard)) >= 95
        assert min(heard) >= BEA
        # Nobody outside learns which SSRC a publisher uses.
        assert {packet.ssrc for packet in (*hers.received, *running.viewer.received)}.isdisjoint({AUDIO_SSRC})


async def test_ten_thousand_ssrcs_of_a_member_cost_others_nothing(parley: Parley) -> None:
    async with call(parley) as running, publishing(running, "eve") as eve:
        assert await running.talk(0.2) == 0
        before = Footprint.of(parley)

        async def attack() -> None:
            for number in range(10_000):
                eve.send(eve.audio(number, ssrc=0x10_0000 + number))
                if number % 100 == 0:
                    await eve.pump(0.01)

        lost, _ = await asyncio.gather(running.talk(2.5), attack())
        assert lost == 0
        assert await running.talk(0.5) == 0
        before.assert_not_outgrown(Footprint.of(parley), rss_mib=8, log_lines=4)
        assert_log_is_calm(parley)


def paddings() -> list[bytes]:
    """RTP whose last byte lies about the padding: none, more than there is (RFC 3550 section 5.1)."""
    head = struct.pack("!BBHII", 0xA0, AUDIO_PT, 0, 1, AUDIO_SSRC)
    return [head + bytes(size) + bytes([claim]) for size in (0, 1, 8, 40) for claim in (0, size + 2, 255)]


def mutated(rng: random.Random, rtp: bytes) -> bytes:
    """Some bits flipped, cut somewhere; the version stays, or no packet would get as far as a cipher."""
    raw = bytearray(rtp)
    for _ in range(rng.randrange(1, 4)):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    raw[0] = raw[0] & 0x3F | 0x80
    return bytes(raw[: rng.randrange(12, len(raw) + 1)])


def reports(rng: random.Random) -> list[bytes]:
    """RTCP with counts and lengths that are not there, and true ones of noise."""
    ssrc = struct.pack("!I", 1)
    remb = b"REMB" + bytes([255]) + b"\x3f\xff\xff"
    twcc = struct.pack("!IIHHI", 1, 2, 65_000, 65_535, 0)
    made = [
        struct.pack("!BBH", 0x80 | 31, 201, 1) + ssrc,  # 31 report blocks that are not there
        struct.pack("!BBH", 0x80 | 31, 200, 6) + ssrc + bytes(20),
        struct.pack("!BBH", 0x80 | 31, 202, 1) + ssrc,
        struct.pack("!BBH", 0x80 | 31, 203, 1) + ssrc,
        struct.pack("!BBH", 0x80, 201, 65_535) + ssrc,
        struct.pack("!BBH", 0xA0, 201, 2) + ssrc + b"\0\0\0\xff",  # padding of 255 bytes
        struct.pack("!BBH", 0x80 | 15, 206, 4) + ssrc * 2 + remb,
        struct.pack("!BBH", 0x80 | 15, 205, 5) + ssrc * 2 + twcc[4:],
        struct.pack("!BBH", 0x80 | 15, 205, 6) + ssrc * 2 + twcc[4:] + b"\xff\xff\xff\xff",
        struct.pack("!BBH", 0x80 | 4, 206, 2) + ssrc * 2,  # FIR without an entry
        struct.pack("!BBH", 0x80 | 1, 205, 2) + ssrc * 2,  # NACK without an entry
    ]
    for _ in range(200):
        body = rng.randbytes(4 * rng.randrange(1, 30))
        kind = rng.choice((200, 201, 202, 203, 204, 205, 206, 207))
        made.append(struct.pack("!BBH", 0x80 | rng.randrange(64), kind, len(body) // 4) + body)
        whole = bytearray(made[rng.randrange(10)])
        whole[rng.randrange(1, len(whole))] ^= 1 << rng.randrange(8)
        made.append(bytes(whole))
    return made


@pytest.mark.parametrize("who", ["a publisher", "a viewer"])
async def test_authentic_packets_that_lie_about_their_lengths_cost_others_nothing(
    parley: Parley, who: str
) -> None:
    async with (
        call(parley) as running,
        publishing(running, "eve") as eve,
        watching(running, "ada") as mallory,
    ):
        attacker = eve if who == "a publisher" else mallory
        keys = attacker.sessions
        assert keys is not None
        rng, known = random.Random(who), struct.pack("!I", AUDIO_SSRC)
        numbers = itertools.count(70_000)
        sent = 0
        before = Footprint.of(parley)

        def send(plain: bytes, *, is_rtcp: bool) -> None:
            nonlocal sent
            if not is_rtcp:
                # Of the stream that is known, and after what came before: nothing else is wrong with it.
                plain = (
                    plain[:2] + struct.pack("!H", next(numbers) & 0xFFFF) + plain[4:8] + known + plain[12:]
                )
            # libsrtp itself refuses to protect what it could not take apart again.
            with contextlib.suppress(Error):
                attacker.line.send((keys.tx.protect_rtcp if is_rtcp else keys.tx.protect)(plain))
                sent += 1

        async def attack() -> None:
            for plain in paddings():
                send(plain, is_rtcp=False)
            for plain in reports(rng):
                send(plain, is_rtcp=True)
                send(mutated(rng, eve.audio(70_000).write()), is_rtcp=False)
                await attacker.pump(0.002)

        lost, _ = await asyncio.gather(running.talk(2.0), attack())
        assert lost == 0
        assert sent > 450
        assert await running.talk(0.5) == 0
        # The attacker's own connection works as before: what was malformed was dropped, not the peer.
        async with watching(running, "eve") as viewer:
            for number in itertools.islice(numbers, 30):
                eve.send(eve.audio(number))
                await asyncio.gather(eve.pump(0.01), viewer.pump(0.01))
            await viewer.pump(0.2)
            assert len(set(viewer.heard())) >= 25
        before.assert_not_outgrown(Footprint.of(parley), rss_mib=8, log_lines=40, fds=4)
        assert_log_is_calm(parley)
