"""The native engine with SRTP-speaking peers on plain UDP sockets."""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from media.gates import Gate, GatePage
from sfu.config import MediaConfig
from sfu.engine.fake.rtp import FakeRtp
from sfu.engine.native import NativeEngine
from sfu.engine.types import EngineCodec, EngineEncoding, ForwardId, TrackId
from tests.sfu.engine.rig import Remote, Rig
from tests.sfu.wires import drain

OPUS = EngineCodec(111, "opus", 48_000)
VP8 = EngineCodec(96, "vp8", 90_000, 97)
H264 = EngineCodec(102, "h264", 90_000, 103)
OPEN = Gate(0, 0)
RECEIVE = {"mid": 4, "audio_level": 1, "rid": 5, "rrid": 6, "twcc": 3}
SEND = {"mid": 9, "audio_level": 2}
NACK, PLI, TWCC = (205, 1), (206, 1), (205, 15)
with_both_ciphers = pytest.mark.parametrize("house", [True, False], indirect=True, ids=["own", "libsrtp"])
"""For a test on `house`: by the core's own cipher of RTP packets, and by libsrtp."""


@dataclass
class Heard:
    """What a peer received in a while."""

    rtp: list[FakeRtp] = field(default_factory=list)
    rtcp: list[bytes] = field(default_factory=list)

    def feedback(self, what: tuple[int, int]) -> list[bytes]:
        """RTCP messages of one type and format (or count)."""
        return [m for m in self.rtcp if m[1] == what[0] and m[0] & 0x1F == what[1]]

    def of_type(self, rtcp_type: int) -> list[bytes]:
        return [m for m in self.rtcp if m[1] == rtcp_type]


class House(Rig):
    """A rig whose engine is native, and whose tracks repair."""

    @classmethod
    def build(
        cls,
        *,
        idle_ms: int = 10_000,
        gate_slots: int = 64,
        coalesce_us: int = 1000,
        gives_masters: bool = True,
    ) -> "House":
        config = MediaConfig(
            addresses=("127.0.0.1",), port=0, workers=1, gate_slots=gate_slots, idle_ms=idle_ms
        )
        page = GatePage.create(config.gate_slots)
        house = cls(NativeEngine(config, page, coalesce_us=coalesce_us), page, gives_masters)
        house.engine.listen(house.seen.append)
        return house

    async def peer(self) -> Remote:
        remote = await self.remote()
        await self.engine.set_receive_extensions(remote.transport, RECEIVE)
        await self.engine.set_send_extensions(remote.transport, SEND)
        return remote

    async def vp8(
        self, owner: Remote, *encodings: EngineEncoding, mid: str = "v", twcc: bool = False
    ) -> TrackId:
        track = TrackId(self.fresh())
        chosen = list(encodings) or [EngineEncoding("", 0x22, 0x23)]
        codecs = [VP8, H264]
        await self.engine.add_track(
            track, owner.transport, "video", mid, codecs, chosen, nack=True, twcc=twcc
        )
        return track

    async def watch(
        self, track: TrackId, to: Remote, ssrc: int = 0x900, *, rtx: bool = True, gate: Gate = OPEN
    ) -> ForwardId:
        """A forward with RTX on ssrc + 1: opus 100, vp8 120/121, h264 122/123."""
        forward = ForwardId(self.fresh())
        types = {"opus": (100, -1), "vp8": (120, 121 if rtx else -1), "h264": (122, 123 if rtx else -1)}
        await self.engine.add_forward(
            forward, track, to.transport, ssrc, ssrc + 1 if rtx else 0, "7", types, gate, paused=False
        )
        return forward

    async def counters(self) -> dict[str, int]:
        return (await self.engine.query_stats(0)).worker

    async def row(self, kind: str, number: int) -> dict[str, int]:
        stats = await self.engine.query_stats(0)
        rows = {"transport": stats.transports, "track": stats.tracks, "forward": stats.forwards}[kind]
        return next(row for row in rows if row[kind] == number)

    async def counted(self, name: str, at_least: int, patience_s: float = 5.0) -> dict[str, int]:
        """Wait until a counter has come so far."""
        deadline = asyncio.get_running_loop().time() + patience_s
        while (counters := await self.counters())[name] < at_least:
            assert asyncio.get_running_loop().time() < deadline, f"{name} stays at {counters[name]}"
            await asyncio.sleep(0.01)
        return counters


async def hear(remote: Remote, quiet_s: float = 0.12) -> Heard:
    """Everything that arrives until it is quiet, decrypted."""
    heard = Heard()
    for data in await drain(remote.wire, lambda d: len(d) > 1 and d[0] >> 6 == 2, quiet_s):
        take(remote, data, heard)
    return heard


async def hear_for(remote: Remote, seconds: float) -> Heard:
    """Everything that arrives in a time, decrypted."""
    heard = Heard()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while (left := deadline - loop.time()) > 0:
        data = await remote.wire.receive(left)
        if data is not None:
            take(remote, data, heard)
    return heard


async def hear_until(remote: Remote, condition: Callable[[Heard], object], patience_s: float = 5.0) -> Heard:
    """Everything until it fulfils a condition; fails when it does not in time."""
    heard = Heard()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    while not condition(heard):
        left = deadline - loop.time()
        assert left > 0, f"never heard: {len(heard.rtp)} RTP, {[m[1] for m in heard.rtcp]}"
        data = await remote.wire.receive(left)
        if data is not None:
            take(remote, data, heard)
    return heard


def take(remote: Remote, data: bytes, heard: Heard) -> None:
    if 192 <= data[1] <= 223:
        plain = remote.rx.unprotect_rtcp(data)
        while len(plain) >= 4:
            size = 4 * (1 + struct.unpack_from("!H", plain, 2)[0])
            heard.rtcp.append(plain[:size])
            plain = plain[size:]
    else:
        packet = FakeRtp.parse(remote.rx.unprotect(data))
        assert packet is not None
        heard.rtp.append(packet)


def vp8(
    seq: int,
    *,
    ssrc: int = 0x22,
    key: bool = False,
    picture: int | None = None,
    fill: int = 40,
    start: bool = True,
    height: int = 16,
) -> FakeRtp:
    """One VP8 frame in one packet (RFC 7741 section 4), with a 15-bit picture id when given."""
    first = 0x10 if start else 0
    if picture is None:
        descriptor = bytes([first])
    else:
        descriptor = bytes([0x80 | first, 0x80]) + struct.pack("!H", 0x8000 | picture & 0x7FFF)
    size = struct.pack("<HH", 16, height)
    header = b"\x10\x02\x00\x9d\x01\x2a" + size if key else b"\x11\x02\x00"
    body = struct.pack("!I", seq) + bytes(fill)
    return FakeRtp(96, seq & 0xFFFF, 3000 * seq & 0xFFFF_FFFF, ssrc, descriptor + header + body, True)


def rtx_of(packet: FakeRtp, seq: int, *, ssrc: int = 0x23, pt: int = 97) -> FakeRtp:
    """A retransmission (RFC 4588 section 4)."""
    payload = struct.pack("!H", packet.seq) + packet.payload
    return FakeRtp(pt, seq & 0xFFFF, packet.rtp_ts, ssrc, payload, packet.is_marker, dict(packet.extensions))


def empty_report(sender: int = 9) -> bytes:
    return struct.pack("!BBHI", 0x80, 201, 1, sender)


def nack(media: int, *pairs: tuple[int, int], sender: int = 9) -> bytes:
    body = b"".join(struct.pack("!HH", pid & 0xFFFF, blp) for pid, blp in pairs)
    head = struct.pack("!BBHII", 0x81, 205, 2 + len(pairs), sender, media)
    return empty_report(sender) + head + body


def pli(media: int, sender: int = 9) -> bytes:
    return empty_report(sender) + struct.pack("!BBHII", 0x81, 206, 2, sender, media)


def sender_report(ssrc: int, ntp: int, rtp_ts: int, packets: int = 1, octets: int = 100) -> bytes:
    return struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, ntp, rtp_ts, packets, octets)


def nacked(messages: list[bytes]) -> set[int]:
    """Sequence numbers that generic NACKs ask for."""
    found = set()
    for message in messages:
        for at in range(12, len(message), 4):
            pid, blp = struct.unpack_from("!HH", message, at)
            found |= {pid} | {(pid + bit + 1) & 0xFFFF for bit in range(16) if blp >> bit & 1}
    return found


def stranger(house: House) -> tuple[socket.socket, tuple[str, int]]:
    """A socket that nobody knows, and where the engine listens."""
    unknown = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    unknown.bind(("127.0.0.1", 0))
    return unknown, house.engine.addresses(0)[0]
