"""An engine under test with its gate page, its events and SRTP-speaking remotes."""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pylibsrtp import Error

from media.gates import Gate, GatePage
from sfu.config import MediaConfig
from sfu.engine import events
from sfu.engine.api import Engine
from sfu.engine.fake import FakeEngine
from sfu.engine.fake.rtp import FakeRtp
from sfu.engine.types import (
    NO_MASTERS,
    EngineCodec,
    EngineEncoding,
    ForwardId,
    SinkId,
    TapId,
    TrackId,
    TransportId,
)
from sfu.transport.srtp import PROFILES, make_sessions, material_bytes
from sfu.transport.stun import binding_request
from tests.sfu.wires import FakeWire, UdpWire, Wire, drain, until

OPUS = EngineCodec(111, "opus", 48_000)
VP8 = EngineCodec(96, "vp8", 90_000, 97)
EXTENSIONS = {"mid": 4, "audio_level": 1}
OPEN = Gate(0, 0)
E = TypeVar("E", bound=events.Event)


class Remote:
    """The far side of one transport, with keys."""

    def __init__(self, wire: Wire, transport: TransportId, ufrag: str) -> None:
        self.wire = wire
        self.transport = transport
        self.ufrag = ufrag
        name, profile = PROFILES[0]
        material = os.urandom(material_bytes(profile))
        own = make_sessions(name, profile, material, is_server=False)
        self.tx, self.rx = own.tx, own.rx
        self.engine_sessions = make_sessions(name, profile, material, is_server=True)

    def check(self) -> bytes:
        """A connectivity check for this transport."""
        return binding_request(
            os.urandom(12), f"{self.ufrag}:remote", "p" * 24, priority=1, tie_breaker=1, use_candidate=True
        )

    def send_rtp(self, packet: FakeRtp) -> None:
        self.wire.send(self.tx.protect(packet.write()))

    def send_rtcp(self, packet: bytes) -> None:
        self.wire.send(self.tx.protect_rtcp(packet))

    async def packets(self, quiet_s: float = 0.15) -> list[FakeRtp]:
        """RTP that arrives until it is quiet, decrypted."""
        found = []
        for data in await drain(self.wire, lambda d: d[0] >> 6 == 2 and not 192 <= d[1] <= 223, quiet_s):
            packet = FakeRtp.parse(self.rx.unprotect(data))
            assert packet is not None
            found.append(packet)
        return found

    async def rtcp(self, quiet_s: float = 0.15) -> list[bytes]:
        """RTCP that arrives until it is quiet, decrypted, one entry for each packet of a compound."""
        found = []
        for data in await drain(self.wire, lambda d: d[0] >> 6 == 2 and 192 <= d[1] <= 223, quiet_s):
            try:
                plain = self.rx.unprotect_rtcp(data)
            except Error:
                continue
            while len(plain) >= 4:
                size = 4 * (1 + struct.unpack_from("!H", plain, 2)[0])
                found.append(plain[:size])
                plain = plain[size:]
        return found


@dataclass
class Rig:
    """One engine and what the test has made in it.

    `gives_masters`: so that an engine with a cipher of its own uses it; else libsrtp does all.
    """

    engine: Engine
    page: GatePage
    gives_masters: bool = True
    seen: list[events.Event] = field(default_factory=list)
    remotes: list[Remote] = field(default_factory=list)
    last_id: int = 0

    def fresh(self) -> int:
        self.last_id += 1
        return self.last_id

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind so far."""
        return [event for event in self.seen if isinstance(event, kind)]

    async def event(self, kind: type[E], accept: Callable[[E], bool] = lambda _: True) -> E:
        """Wait for an event."""
        await until(lambda: any(accept(event) for event in self.of(kind)), kind.__name__)
        return next(event for event in self.of(kind) if accept(event))

    def wire(self, worker: int = 0) -> Wire:
        if isinstance(self.engine, FakeEngine):
            return FakeWire(self.engine, worker)
        return UdpWire(self.engine, worker)

    async def remote(self, worker: int = 0, *, bound: bool = True) -> Remote:
        """A transport with keys and, if `bound`, one selected path."""
        transport = TransportId(self.fresh())
        remote = Remote(self.wire(worker), transport, f"ufrag{transport:08}")
        self.remotes.append(remote)
        await self.engine.add_transport(transport, worker, [remote.ufrag])
        await self.engine.set_receive_extensions(transport, EXTENSIONS)
        await self.engine.set_send_extensions(transport, {"mid": 9})
        if bound:
            await self.engine.bind_path(transport, 0, remote.wire.ip, remote.wire.port, selected=True)
            await self.secure(remote)
        return remote

    async def secure(self, remote: Remote) -> None:
        """Give the engine its side of a remote's keys."""
        sessions = remote.engine_sessions
        await self.engine.set_srtp(
            remote.transport,
            sessions.rx_address,
            sessions.tx_address,
            sessions.profile,
            sessions.masters if self.gives_masters else NO_MASTERS,
        )

    async def audio(self, remote: Remote, ssrc: int = 0x11) -> TrackId:
        """An Opus track that the engine finds by its ssrc."""
        track = TrackId(self.fresh())
        encodings = [EngineEncoding("", ssrc)]
        await self.engine.add_track(
            track, remote.transport, "audio", f"a{track}", [OPUS], encodings, nack=False, twcc=False
        )
        return track

    async def video(self, remote: Remote, ssrc: int = 0x22) -> TrackId:
        """A VP8 track that the engine finds by its ssrc."""
        track = TrackId(self.fresh())
        encodings = [EngineEncoding("", ssrc)]
        await self.engine.add_track(
            track, remote.transport, "video", f"v{track}", [VP8], encodings, nack=True, twcc=False
        )
        return track

    async def forward(
        self, track: TrackId, to: Remote, gate: Gate = OPEN, ssrc: int = 0x900, *, paused: bool = False
    ) -> ForwardId:
        """A forward to Opus 100 and VP8 120 with mid "7"."""
        forward = ForwardId(self.fresh())
        types = {"opus": (100, -1), "vp8": (120, -1)}
        await self.engine.add_forward(forward, track, to.transport, ssrc, 0, "7", types, gate, paused=paused)
        return forward

    async def sink(self, fd: int) -> SinkId:
        sink = SinkId(self.fresh())
        await self.engine.add_sink(sink, fd)
        return sink

    async def tap(self, track: TrackId, sink: SinkId, gate: Gate) -> TapId:
        tap = TapId(self.fresh())
        await self.engine.add_tap(tap, track, sink, gate)
        return tap

    async def close(self) -> None:
        await self.engine.close()
        for remote in self.remotes:
            remote.wire.close()
        self.page.close()


def opus(seq: int, ssrc: int = 0x11, *, level: int | None = None, pt: int = 111) -> FakeRtp:
    """A 20 ms packet."""
    extensions = {} if level is None else {EXTENSIONS["audio_level"]: bytes([0x80 | level])}
    return FakeRtp(
        pt, seq & 0xFFFF, 960 * seq & 0xFFFF_FFFF, ssrc, b"\xfc" + bytes([seq & 0xFF]) * 30, False, extensions
    )


def vp8_keyframe(seq: int, ssrc: int = 0x22) -> FakeRtp:
    """A whole keyframe of 16 x 16 in one packet, without picture id (RFC 7741 section 4)."""
    descriptor = b"\x10"
    header = b"\x10\x02\x00\x9d\x01\x2a\x10\x00\x10\x00"
    return FakeRtp(96, seq, 3000 * seq & 0xFFFF_FFFF, ssrc, descriptor + header + bytes(40), True)


def vp8_delta(seq: int, ssrc: int = 0x22) -> FakeRtp:
    """A whole predicted frame in one packet."""
    return FakeRtp(96, seq, 3000 * seq & 0xFFFF_FFFF, ssrc, b"\x10\x11\x02\x00" + bytes(40), True)


def make_fake(config: MediaConfig, page: GatePage) -> Engine:
    return FakeEngine(config, page)


def make_native(config: MediaConfig, page: GatePage) -> Engine:
    from sfu.engine.native import NativeEngine  # noqa: PLC0415 - the model needs no native build

    return NativeEngine(config, page)
