"""What somebody who only knows the media port can do to a call: nothing (rows 1, 2, 4, 5, 11, 12, F1-F4)."""

import asyncio
import os
import random
import struct
import sys
from pathlib import Path

import aiohttp
import pytest

from sfu.sdp import parse
from sfu.transport.stun import binding_request
from tests.attacks import flood
from tests.attacks.call import AUDIO_PT, AUDIO_SSRC, Call, Caller, Footprint, call, stranger, terms_of
from tests.browser.parley import Parley
from tests.support.figures import tell

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("a running server"),
]

HELLOS = Path(__file__).parent.parent / "fixtures" / "dtls"
CHROMIUM_HELLO = [(HELLOS / f"chromium-client-hello-{part}.bin").read_bytes() for part in (1, 2)]
FLOOD_S = 4
FLOOD_PER_S = 20_000
AIMED_PER_S = 24_000
"""More than what is asserted, since a busy machine sends in fits."""


def stun(
    kind: int, *attributes: tuple[int, bytes], cookie: int = 0x2112A442, size: int | None = None
) -> bytes:
    body = b"".join(struct.pack("!HH", t, len(v)) + v + bytes(-len(v) % 4) for t, v in attributes)
    return struct.pack("!HHI", kind, len(body) if size is None else size, cookie) + os.urandom(12) + body


def malformed(ufrag: str) -> dict[str, bytes]:
    """Thirty datagrams that nobody should send."""
    username = (6, f"{ufrag}:peer".encode())
    record = b"\x16\xfe\xfd" + bytes(8)
    return {
        "empty": b"",
        "one byte of STUN": b"\x00",
        "one byte of DTLS": b"\x16",
        "one byte of RTP": b"\x80",
        "a TURN channel": b"\x40\x00\x00\x04abcd",
        "a first byte of nothing": b"\xff" * 40,
        "zeros": bytes(1200),
        "STUN of 19 bytes": stun(1)[:19],
        "STUN without attributes": stun(1),
        "STUN longer than it says": stun(1, username) + b"more",
        "STUN shorter than it says": stun(1, username, size=400),
        "an attribute beyond the end": stun(1, username)[:-8] + struct.pack("!HH", 6, 0xFFFF) + b"abcd",
        "an attribute cut in its head": stun(1, username, size=22) + b"\x00\x06",
        "a USERNAME of nothing": stun(1, (6, b"")),
        "a USERNAME without a colon": stun(1, (6, ufrag.encode())),
        "a USERNAME that is no UTF-8": stun(1, (6, b"\xff\xfe:\xc0")),
        "a MESSAGE-INTEGRITY of one byte": stun(1, username, (8, b"x")),
        "a MESSAGE-INTEGRITY that is wrong": stun(1, username, (8, os.urandom(20))),
        "an indication": stun(0x11, username),
        "a success that nobody asked for": stun(0x101, (0x20, bytes(8))),
        "an error that nobody asked for": stun(0x111, (9, b"\0\0\4\1no")),
        "another method": stun(0x003, username),
        "STUN of the old standard": stun(1, username, cookie=0),
        "a hundred attributes": stun(1, *[(0x8000 + n, b"x" * 8) for n in range(100)]),
        "a ClientHello": CHROMIUM_HELLO[0],
        "half a DTLS record": record + b"\x40\x00" + bytes(30),
        "a DTLS alert": b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28",
        "a DTLS handshake of a fragment": record + b"\x00\x10\x01\xff\xff\xff" + bytes(12),
        "SRTP of 13 bytes": b"\x80\x6f" + os.urandom(11),
        "SRTP of noise": b"\x80\x6f" + os.urandom(1098),
        "SRTP with 15 CSRC and an extension of 65535 words": b"\x9f\x6f" + os.urandom(70) + b"\xff" * 20,
        "SRTCP of 9 bytes": b"\x80\xc8" + os.urandom(7),
        "SRTCP of noise": b"\x80\xc9" + os.urandom(200),
    }


@pytest.mark.parametrize("source", ["a stranger", "the publisher", "the viewer"])
async def test_malformed_datagrams_cost_a_call_no_packet_and_the_log_no_line(
    parley: Parley, source: str
) -> None:
    async with call(parley) as running:
        ufrag = running.publisher.remote_ufrag
        before = Footprint.of(parley)
        with stranger(running.target) as unknown:
            line = {"the publisher": running.publisher.line, "the viewer": running.viewer.line}.get(source)
            send = unknown.send if line is None else line.send

            async def attack() -> None:
                for _ in range(10):
                    for datagram in malformed(ufrag).values():
                        send(datagram)
                    await asyncio.sleep(0.05)

            lost, _ = await asyncio.gather(running.talk(1.5), attack())
            assert lost == 0
            if line is None:
                assert unknown.answers() == []
        before.assert_not_outgrown(Footprint.of(parley), rss_mib=8, log_lines=2)


async def test_checks_with_any_bits_flipped_and_any_end_cost_a_call_nothing(parley: Parley) -> None:
    rng = random.Random(12)
    async with call(parley) as running:
        ufrag = running.publisher.remote_ufrag
        before = Footprint.of(parley)

        def broken() -> bytes:
            whole = bytearray(
                binding_request(
                    rng.randbytes(12), f"{ufrag}:x", "p" * 24, priority=1, tie_breaker=1, use_candidate=True
                )
            )
            for _ in range(rng.randrange(4)):
                whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
            return bytes(whole[: rng.randrange(1, len(whole) + 1)])

        async def attack() -> None:
            with stranger(running.target) as unknown:
                for _ in range(1_500):
                    unknown.send(broken())
                    running.viewer.line.send(broken())
                    await asyncio.sleep(0.001)
                assert unknown.answers() == []

        lost, _ = await asyncio.gather(running.talk(2.5), attack())
        assert lost == 0
        before.assert_not_outgrown(Footprint.of(parley), rss_mib=8, log_lines=2)


async def test_an_empty_datagram_and_a_client_hello_leave_a_call_alone(parley: Parley) -> None:
    async with call(parley) as running:
        for _ in range(3):
            with stranger(running.target) as unknown:
                for datagram in (b"", *CHROMIUM_HELLO, b"", CHROMIUM_HELLO[1], CHROMIUM_HELLO[0]):
                    unknown.send(datagram)
                assert await running.talk(0.4) == 0
                assert unknown.answers() == []


@pytest.mark.parametrize(
    "moment", ["before the checks", "with the first check", "before the hello", "after it"]
)
async def test_a_strangers_hello_at_any_moment_does_not_stop_a_join(parley: Parley, moment: str) -> None:
    async with aiohttp.ClientSession() as http:
        caller = Caller()
        token = parley.token("race", "ada", grants=("join", "publish"), terms=await terms_of(http, parley))
        answer = await caller.post(http, f"{parley.url}/whip/race", token, "chromium-offer-sendonly-av")
        assert caller.line.target is not None
        with stranger(caller.line.target) as unknown:
            sent: list[str] = []

            def hello() -> None:
                sent.append(moment)
                for datagram in (*CHROMIUM_HELLO, CHROMIUM_HELLO[0][:200]):
                    unknown.send(datagram)

            def on_first(data: bytes, when: str, low: int, high: int) -> None:
                if moment == when and not sent and data and low <= data[0] <= high:
                    hello()

            if moment == "before the checks":
                hello()
            caller.line.after_send = lambda data: (
                on_first(data, "with the first check", 0, 3),
                on_first(data, "after it", 20, 63),
            )
            caller.line.before_send = lambda data: on_first(data, "before the hello", 20, 63)
            await caller.connect(answer, timeout_s=2)
            assert sent == [moment]
            assert unknown.answers() == []
        await caller.leave(http)


async def test_plain_rtp_is_forwarded_from_nobody(parley: Parley) -> None:
    async with call(parley) as running:
        with stranger(running.target) as unknown:
            for number in range(50):
                plain = running.publisher.audio(70_000 + number).write()
                unknown.send(plain)
                running.publisher.line.send(plain)
                unknown.send(plain + bytes(16))
            running.viewer.received.clear()
            await running.listen(0.4)
            assert running.viewer.heard() == []
            assert await running.talk(0.5) == 0


async def test_srtp_of_the_right_keys_from_another_address_is_not_taken(parley: Parley) -> None:
    async with call(parley) as running:
        tx = running.publisher.sessions
        assert tx is not None
        with stranger(running.target) as unknown:
            for number in range(20):
                unknown.send(tx.tx.protect(running.publisher.audio(66_000 + number).write()))
            running.viewer.received.clear()
            await running.listen(0.3)
            assert running.viewer.heard() == []


async def test_replayed_packets_are_heard_once_also_across_the_roll_over(parley: Parley) -> None:
    async with call(parley) as running:
        line, captured = running.publisher.line, list[bytes]()
        line.after_send = lambda data: captured.append(data) if data[0] == 0x90 else None
        assert running.number < 65_536
        running.number = 65_500
        assert await running.talk(1.5) == 0
        assert running.number > 65_536
        line.after_send = lambda data: None
        assert len(captured) == 75
        running.viewer.received.clear()
        with stranger(running.target) as unknown:
            for _ in range(3):
                for datagram in captured:
                    line.send(datagram)
                    unknown.send(datagram)
        await running.listen(0.4)
        assert running.viewer.heard() == []
        assert await running.talk(0.4) == 0


async def test_nothing_unauthenticated_is_answered_with_more_bytes_than_it_had(parley: Parley) -> None:
    async with call(parley) as running:
        ufrag = running.publisher.remote_ufrag
        kinds = malformed(ufrag) | {
            "a check with a wrong password": binding_request(
                os.urandom(12), f"{ufrag}:peer", "p" * 24, priority=1, tie_breaker=1, use_candidate=True
            ),
            "a check of nobody": binding_request(
                os.urandom(12), "nobody:peer", "p" * 24, priority=1, tie_breaker=1, use_candidate=True
            ),
        }
        for name, datagram in kinds.items():
            with stranger(running.target) as unknown:
                for _ in range(5):
                    unknown.send(datagram)
                await running.listen(0.03)
                assert unknown.answers() == [], name


async def test_twenty_thousand_junk_packets_a_second_cost_a_call_nothing(parley: Parley) -> None:
    async with call(parley) as running:
        control = await running.talk(FLOOD_S)
        lost, flooded_at, before = await flooded(running, "nobody")
        insider, insider_at, _ = await flooded(running, running.publisher.remote_ufrag)
        after = Footprint.of(parley)
        tell(
            f"lost of {FLOOD_S * 50} audio packets: {control} in quiet, {lost} beside {flooded_at:.0f} junk "
            f"packets/s, {insider} beside {insider_at:.0f}/s that name the call"
        )
        assert min(flooded_at, insider_at) >= FLOOD_PER_S, "the machine is too busy to send the junk"
        assert lost <= control
        assert insider <= control
        before.assert_not_outgrown(after, rss_mib=16, log_lines=8)


async def flooded(running: Call, ufrag: str) -> tuple[int, float, Footprint]:
    """Packets lost while strangers send junk, the rate of it, and the server's footprint before."""
    before = Footprint.of(running.parley)
    ip, port = running.target
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, flood.__file__, ip, str(port), str(FLOOD_S), str(AIMED_PER_S), ufrag),
        stdout=asyncio.subprocess.PIPE,
    )
    lost = await running.talk(FLOOD_S)
    output, _ = await process.communicate()
    return lost, int(output) / FLOOD_S, before


async def test_the_captured_offer_says_what_these_tests_send() -> None:
    caller = Caller()
    audio = parse(caller.offer("chromium-offer-sendonly-av")).media[0]
    caller.line.close()
    assert audio.kind == "audio"
    assert AUDIO_PT in {codec.pt for codec in audio.codecs}
    assert AUDIO_SSRC in audio.ssrcs
