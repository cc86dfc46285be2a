"""The media engine as a model in memory: same commands, events, gates and SRTP, no thread and no socket.

Runs on the event loop's thread. Datagrams go in by `receive` and come out by `on_send`. It forwards, taps and
gates as the core does, without NACK, RTX, congestion control and the choice of layers and voices. For tests.
"""

import asyncio
import errno
import os
import socket as sockets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pylibsrtp._binding import ffi, lib

from media.gates import Gate, GatePage
from media.red import RedError, parse_red
from media.tap_record import (
    CODEC_NAMES,
    DATAGRAM_MAX_BYTES,
    FLAG_CODEC_CHANGED,
    RtpRecord,
    SrRecord,
    TapHeader,
    TapRecordError,
    encode_record,
    read_records,
)
from sfu.config import MediaConfig
from sfu.engine import events
from sfu.engine.api import Listener
from sfu.engine.fake_rtp import FakeRtp, keyframe_requests, picture_loss, sender_report, stun_local_ufrag
from sfu.engine.types import (
    NO_STAGE,
    Ack,
    Address,
    EngineCodec,
    EngineEncoding,
    ForwardId,
    Kind,
    PathKind,
    SinkId,
    StageId,
    TapId,
    TrackId,
    TransportId,
)
from sfu.errors import EngineError
from sfu.wire.demux import DatagramKind, classify

_MAX_PATHS: Final = 4
_LEVELS_EVERY_S: Final = 0.2
_TRAILER: Final = 160
Send = Callable[[int, int, str, int, bytes, PathKind], None]


@dataclass(slots=True)
class _Path:
    socket: int
    ip: str
    port: int
    kind: PathKind
    is_selected: bool


@dataclass(slots=True)
class _Transport:
    worker: int
    ufrags: tuple[str, ...]
    paths: list[_Path] = field(default_factory=list)
    rx: int = 0
    tx: int = 0
    receive_extensions: dict[str, int] = field(default_factory=dict)
    wanted_bps: int = 0
    send_extensions: dict[str, int] = field(default_factory=dict)
    is_proven: bool = False
    is_idle: bool = False
    heard_at: float = 0.0
    counters: Counter[str] = field(default_factory=Counter)

    def path(self, socket: int, ip: str, port: int, kind: PathKind) -> _Path | None:
        wanted = (socket, ip, port, kind)
        return next((p for p in self.paths if (p.socket, p.ip, p.port, p.kind) == wanted), None)

    @property
    def selected(self) -> _Path | None:
        return next((p for p in self.paths if p.is_selected), None)


@dataclass(slots=True)
class _Track:
    transport: TransportId
    kind: Kind
    mid: str
    codecs: dict[int, str]
    encodings: tuple[EngineEncoding, ...]
    is_e2ee: bool
    is_enabled: bool = True
    seen: dict[int, tuple[int, str]] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Forward:
    track: TrackId
    transport: TransportId
    ssrc: int
    mid: str
    payload_types: dict[str, tuple[int, int]]
    gate: Gate
    is_paused: bool
    next_seq: int = 1000
    source_ssrc: int = 0
    source_seq: int = 0
    refused: str = ""
    counters: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Tap:
    track: TrackId
    sink: SinkId
    gate: Gate
    codec: str = ""
    counters: Counter[str] = field(default_factory=Counter)


class FakeEngine:
    """An `Engine` in memory; also the factory that `MediaPlane.start(config, engine=FakeEngine)` wants."""

    def __init__(self, config: MediaConfig, gates: GatePage) -> None:
        self.workers = config.workers
        self.on_send: Send | None = None
        """Who gets the datagrams that the engine sends: (worker, socket, ip, port, data, kind)."""
        self.counters: Counter[str] = Counter()
        """Dropped datagrams by reason."""
        self.refusals: list[str] = []
        """Why commands were refused, in order."""
        self._addresses = [
            [(ip, (config.port or 40_000) + worker) for ip in config.addresses]
            for worker in range(config.workers)
        ]
        self._tcp_addresses = (
            [] if config.tcp_port is None else [(ip, config.tcp_port or 40_100) for ip in config.addresses]
        )
        self._gates = gates
        self._idle_s = config.idle_ms / 1000
        self._listener: Listener | None = None
        self._next_ack = 1
        self._waiting: dict[int, Ack] = {}
        self._is_closed = False
        self._transports: dict[TransportId, _Transport] = {}
        self._tracks: dict[TrackId, _Track] = {}
        self._forwards: dict[ForwardId, _Forward] = {}
        self._sinks: dict[SinkId, sockets.socket] = {}
        self._ended_sinks: set[SinkId] = set()
        self._injected: dict[SinkId, TransportId] = {}
        self._taps: dict[TapId, _Tap] = {}
        self._levels: dict[TrackId, tuple[int, bool]] = {}
        self._levels_at = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None

    # the engine's frame
    def addresses(self, worker: int) -> list[Address]:
        """See `Engine`."""
        return list(self._addresses[worker])

    def tcp_addresses(self) -> list[Address]:
        """See `Engine`."""
        return list(self._tcp_addresses)

    def listen(self, listener: Listener) -> None:
        """See `Engine`."""
        self._listener = listener
        self._watch_idle()

    async def close(self) -> None:
        """See `Engine`."""
        self._is_closed = True
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        for sink, end in self._sinks.items():
            self._stop_injection(sink)
            end.close()
        self._sinks.clear()
        waiting, self._waiting = self._waiting, {}
        for ack in waiting.values():
            ack.settle("closed")

    def emit(self, event: events.Event) -> None:
        """Deliver an event as if the engine had seen its cause."""
        if self._listener is not None and not self._is_closed:
            self._listener(event)

    def _command(self, error: str = "") -> Ack:
        if self._is_closed:
            raise EngineError("closed")
        if error:
            self.refusals.append(error)
        ack = Ack(self._next_ack)
        self._next_ack += 1
        self._waiting[ack.number] = ack
        asyncio.get_running_loop().call_soon(self._settle, ack, error)
        return ack

    def _settle(self, ack: Ack, error: str) -> None:
        if self._waiting.pop(ack.number, None) is not None:
            ack.settle(error)

    def _watch_idle(self) -> None:
        if self._is_closed:
            return
        now = time.monotonic()
        for transport, state in self._transports.items():
            if state.is_proven and not state.is_idle and now - state.heard_at > self._idle_s:
                state.is_idle = True
                self.emit(events.Idle(transport))
        self._idle_timer = asyncio.get_running_loop().call_later(self._idle_s / 4, self._watch_idle)

    # transports
    def add_transport(self, transport: TransportId, worker: int, ufrags: Sequence[str]) -> Ack:
        """See `Engine`."""
        if transport in self._transports:
            return self._command("transport exists")
        if not 0 <= worker < self.workers:
            return self._command("no such worker")
        self._transports[transport] = _Transport(worker, tuple(ufrags))
        return self._command()

    def add_injected_transport(self, transport: TransportId, worker: int, sink: SinkId) -> Ack:
        """See `Engine`. The model tells no wishes for keyframes."""
        if sink not in self._sinks:
            return self._command("unknown sink")
        if transport in self._transports:
            return self._command("transport exists")
        if sink in self._injected:
            return self._command("the sink feeds another transport")
        self._transports[transport] = _Transport(worker, ())
        self._injected[sink] = transport
        asyncio.get_running_loop().add_reader(self._sinks[sink], self._inject, sink)
        return self._command()

    def _inject(self, sink: SinkId) -> None:
        transport = self._injected[sink]
        with suppress(BlockingIOError, TapRecordError):
            for record in read_records(self._sinks[sink].recv(DATAGRAM_MAX_BYTES)):
                if isinstance(record, RtpRecord):
                    self._receive_rtp(transport, self._transports[transport], record.packet)

    def _stop_injection(self, sink: SinkId) -> None:
        if self._injected.pop(sink, None) is not None:
            asyncio.get_running_loop().remove_reader(self._sinks[sink])

    def set_ufrags(self, transport: TransportId, ufrags: Sequence[str]) -> Ack:
        """See `Engine`."""
        state = self._transports.get(transport)
        if state is None:
            return self._command("unknown transport")
        state.ufrags = tuple(ufrags)
        return self._command()

    def bind_path(
        self,
        transport: TransportId,
        socket: int,
        ip: str,
        port: int,
        *,
        selected: bool,
        kind: PathKind = "udp",
    ) -> Ack:
        """See `Engine`."""
        state = self._transports.get(transport)
        if state is None:
            return self._command("unknown transport")
        path = state.path(socket, ip, port, kind)
        if path is None:
            if len(state.paths) == _MAX_PATHS:
                state.paths.remove(next(p for p in state.paths if not p.is_selected))
            path = _Path(socket, ip, port, kind, is_selected=False)
            state.paths.append(path)
        if selected:
            for other in state.paths:
                other.is_selected = other is path
        return self._command()

    def unbind_path(
        self, transport: TransportId, socket: int, ip: str, port: int, *, kind: PathKind = "udp"
    ) -> Ack:
        """See `Engine`."""
        state = self._transports.get(transport)
        path = None if state is None else state.path(socket, ip, port, kind)
        if state is None or path is None:
            return self._command("unknown path")
        state.paths.remove(path)
        return self._command()

    def send(
        self, worker: int, socket: int, ip: str, port: int, data: bytes, *, kind: PathKind = "udp"
    ) -> None:
        """See `Engine`."""
        if self.on_send is not None and not self._is_closed:
            self.on_send(worker, socket, ip, port, data, kind)

    def set_srtp(self, transport: TransportId, rx: int, tx: int, profile: str) -> Ack:
        """See `Engine`."""
        state = self._transports.get(transport)
        if state is None:
            return self._command("unknown transport")
        if profile not in {"AEAD_AES_128_GCM", "AES128_CM_SHA1_80"}:
            return self._command("unknown profile")
        state.rx, state.tx = rx, tx
        return self._command()

    def set_receive_extensions(self, transport: TransportId, ids: Mapping[str, int]) -> Ack:
        """See `Engine`."""
        state = self._transports.get(transport)
        if state is None:
            return self._command("unknown transport")
        state.receive_extensions = dict(ids)
        return self._command()

    def set_send_extensions(self, transport: TransportId, ids: Mapping[str, int]) -> Ack:
        """See `Engine`."""
        state = self._transports.get(transport)
        if state is None:
            return self._command("unknown transport")
        state.send_extensions = dict(ids)
        return self._command()

    def set_wanted(self, transport: TransportId, bps: int) -> Ack:
        """See `Engine`."""
        state = self._transports.get(transport)
        if state is None:
            return self._command("unknown transport")
        state.wanted_bps = bps
        return self._command()

    def remove_transport(self, transport: TransportId) -> Ack:
        """See `Engine`."""
        if self._transports.pop(transport, None) is None:
            return self._command("unknown transport")
        for sink in [s for s, fed in self._injected.items() if fed == transport]:
            self._stop_injection(sink)
        for track in [t for t, state in self._tracks.items() if state.transport == transport]:
            self._drop_track(track)
        for forward in [f for f, state in self._forwards.items() if state.transport == transport]:
            del self._forwards[forward]
        return self._command()

    # publisher side
    def add_track(
        self,
        track: TrackId,
        transport: TransportId,
        kind: Kind,
        mid: str,
        codecs: Sequence[EngineCodec | tuple[int, str, int, int]],
        encodings: Sequence[EngineEncoding | tuple[str, int, int]],
        *,
        nack: bool,  # noqa: ARG002 - the model repairs nothing
        twcc: bool,  # noqa: ARG002
        e2ee: bool = False,
        fir: bool = False,  # noqa: ARG002 - the model asks by PLI
        stage: StageId = NO_STAGE,  # noqa: ARG002 - and forwards everyone
    ) -> Ack:
        """See `Engine`."""
        if track in self._tracks:
            return self._command("track exists")
        if transport not in self._transports:
            return self._command("unknown transport")
        by_pt = {codec.pt: codec.name for codec in (EngineCodec(*c) for c in map(_fields, codecs))}
        layers = tuple(EngineEncoding(*_fields(e)) for e in encodings)
        self._tracks[track] = _Track(transport, kind, mid, by_pt, layers, e2ee)
        return self._command()

    def set_stage(self, worker: int, stage: StageId, places: int) -> Ack:  # noqa: ARG002
        """See `Engine`. The model forwards everyone."""
        return self._command("" if 0 <= worker < self.workers else "no such worker")

    def remove_track(self, track: TrackId) -> Ack:
        """See `Engine`."""
        if track not in self._tracks:
            return self._command("unknown track")
        self._drop_track(track)
        return self._command()

    def _drop_track(self, track: TrackId) -> None:
        del self._tracks[track]
        self._levels.pop(track, None)
        for forward in [f for f, state in self._forwards.items() if state.track == track]:
            del self._forwards[forward]
        for tap in [t for t, state in self._taps.items() if state.track == track]:
            del self._taps[tap]

    def set_track_enabled(self, track: TrackId, *, enabled: bool) -> Ack:
        """See `Engine`."""
        state = self._tracks.get(track)
        if state is None:
            return self._command("unknown track")
        state.is_enabled = enabled
        return self._command()

    def request_keyframe(self, track: TrackId) -> Ack:
        """See `Engine`."""
        state = self._tracks.get(track)
        if state is None:
            return self._command("unknown track")
        source = self._transports[state.transport]
        for _, (ssrc, _) in sorted(state.seen.items()):
            self._send_srtp(source, picture_loss(ssrc), rtcp=True)
        state.counters["keyframe_requests"] += 1
        return self._command()

    # subscriber side
    def add_forward(
        self,
        forward: ForwardId,
        track: TrackId,
        transport: TransportId,
        ssrc: int,
        rtx_ssrc: int,  # noqa: ARG002 - the model repairs nothing
        mid: str,
        payload_types: Mapping[str, tuple[int, int]],
        gate: Gate,
        *,
        paused: bool,
    ) -> Ack:
        """See `Engine`."""
        if forward in self._forwards:
            return self._command("forward exists")
        if track not in self._tracks:
            return self._command("unknown track")
        if transport not in self._transports:
            return self._command("unknown transport")
        if gate.slot and self._tracks[track].is_e2ee:
            return self._command("e2ee")
        self._forwards[forward] = _Forward(track, transport, ssrc, mid, dict(payload_types), gate, paused)
        return self._command()

    def set_forward(
        self,
        forward: ForwardId,
        *,
        paused: bool,
        spatial: int = -1,  # noqa: ARG002
        temporal: int = -1,  # noqa: ARG002
        at_once: bool = False,  # noqa: ARG002
    ) -> Ack:
        """See `Engine`."""
        state = self._forwards.get(forward)
        if state is None:
            return self._command("unknown forward")
        state.is_paused = paused
        return self._command()

    def set_forward_source(self, forward: ForwardId, track: TrackId, gate: Gate) -> Ack:
        """See `Engine`."""
        state = self._forwards.get(forward)
        if state is None:
            return self._command("unknown forward")
        if track and track not in self._tracks:
            return self._command("unknown track")
        if track and state.track and self._tracks[track].kind != self._tracks[state.track].kind:
            return self._command("kinds differ")
        if track and gate.slot and self._tracks[track].is_e2ee:
            return self._command("e2ee")
        state.track, state.gate, state.refused, state.source_ssrc = track, gate, "", 0
        return self._command()

    def set_forward_gate(self, forward: ForwardId, gate: Gate) -> Ack:
        """See `Engine`."""
        state = self._forwards.get(forward)
        if state is None:
            return self._command("unknown forward")
        if gate.slot and state.track and self._tracks[state.track].is_e2ee:
            return self._command("e2ee")
        state.gate = gate
        return self._command()

    def remove_forward(self, forward: ForwardId) -> Ack:
        """See `Engine`."""
        return self._command("" if self._forwards.pop(forward, None) else "unknown forward")

    # taps
    def add_sink(self, sink: SinkId, fd: int) -> Ack:
        """See `Engine`."""
        if sink in self._sinks:
            return self._command("sink exists")
        try:
            end = sockets.socket(fileno=os.dup(fd))
        except OSError as error:
            return self._command(error.strerror or "bad descriptor")
        end.setblocking(False)
        self._sinks[sink] = end
        return self._command()

    def remove_sink(self, sink: SinkId) -> Ack:
        """See `Engine`."""
        if sink not in self._sinks:
            return self._command("unknown sink")
        self._drop_sink(sink)
        return self._command()

    def _drop_sink(self, sink: SinkId) -> None:
        self._stop_injection(sink)
        self._sinks.pop(sink).close()
        self._ended_sinks.discard(sink)
        for tap in [t for t, state in self._taps.items() if state.sink == sink]:
            del self._taps[tap]

    def add_tap(self, tap: TapId, track: TrackId, sink: SinkId, gate: Gate) -> Ack:
        """See `Engine`."""
        if tap in self._taps:
            return self._command("tap exists")
        if track not in self._tracks:
            return self._command("unknown track")
        if sink not in self._sinks:
            return self._command("unknown sink")
        if self._tracks[track].is_e2ee:
            return self._command("e2ee")
        self._taps[tap] = _Tap(track, sink, gate)
        return self._command()

    def set_tap_gate(self, tap: TapId, gate: Gate) -> Ack:
        """See `Engine`."""
        state = self._taps.get(tap)
        if state is None:
            return self._command("unknown tap")
        state.gate = gate
        return self._command()

    def remove_tap(self, tap: TapId) -> Ack:
        """See `Engine`."""
        return self._command("" if self._taps.pop(tap, None) else "unknown tap")

    # gates
    def open_gate(self, slot: int, version: int) -> None:
        """See `Engine`."""
        self._gates.store_open(slot, version)

    def close_gate(self, slot: int, version: int) -> None:
        """See `Engine`."""
        self._gates.store_closed(slot, version)

    def fence(self, worker: int) -> Ack:
        """See `Engine`; the model keeps no packet back, so it is true at once."""
        return self._command("" if 0 <= worker < self.workers else "no such worker")

    async def query_stats(self, worker: int) -> events.Stats:
        """See `Engine`."""
        await self._command("" if 0 <= worker < self.workers else "no such worker")
        mine = {t: s for t, s in self._transports.items() if s.worker == worker}

        def rows(
            name: str, items: Mapping[Any, Any], owner: Callable[[Any], Any]
        ) -> tuple[dict[str, Any], ...]:
            return tuple({name: i, **s.counters} for i, s in items.items() if owner(s) in mine)

        return events.Stats(
            0,
            dict(self.counters),
            tuple({"transport": t, "wanted_bps": s.wanted_bps, **s.counters} for t, s in mine.items()),
            rows("track", self._tracks, lambda s: s.transport),
            rows("forward", self._forwards, lambda s: s.transport),
            rows("tap", self._taps, lambda s: self._tracks[s.track].transport),
        )

    # packets
    def receive(
        self, worker: int, socket: int, ip: str, port: int, data: bytes, kind: PathKind = "udp"
    ) -> None:
        """Take one datagram as if it had arrived at the worker's socket, or on a connection of a remote."""
        match classify(data):
            case DatagramKind.STUN:
                self._receive_stun(worker, _Path(socket, ip, port, kind, is_selected=False), data)
            case DatagramKind.DTLS:
                transport = self._bound(worker, socket, ip, port, kind)
                if transport is None:
                    self.counters["stranger"] += 1
                else:
                    self.emit(events.Dtls(transport, socket, ip, port, data, kind))
            case DatagramKind.RTP | DatagramKind.RTCP as what:
                transport = self._bound(worker, socket, ip, port, kind)
                if transport is None:
                    self.counters["stranger"] += 1
                else:
                    self._receive_srtp(transport, data, rtcp=what is DatagramKind.RTCP)
            case DatagramKind.UNKNOWN:
                self.counters["unknown"] += 1

    def disconnect(self, ip: str, port: int) -> None:
        """End a TCP connection, as its remote would."""
        for transport, state in self._transports.items():
            for path in [p for p in state.paths if (p.ip, p.port, p.kind) == (ip, port, "tcp")]:
                state.paths.remove(path)
                self.emit(events.PathClosed(transport, path.socket, ip, port, "tcp"))

    def _receive_stun(self, worker: int, path: _Path, data: bytes) -> None:
        ufrag = stun_local_ufrag(data)
        for transport, state in self._transports.items():
            # A connection is led to the worker that owns the transport; a datagram came to one worker.
            if ufrag in state.ufrags and (state.worker == worker or path.kind == "tcp"):
                self.emit(
                    events.Stun(state.worker, path.socket, path.ip, path.port, transport, data, path.kind)
                )
                return
        self.counters["stun_unknown_ufrag"] += 1

    def _bound(self, worker: int, socket: int, ip: str, port: int, kind: PathKind) -> TransportId | None:
        for transport, state in self._transports.items():
            is_here = state.worker == worker or kind == "tcp"
            if is_here and state.path(socket, ip, port, kind) is not None:
                return transport
        return None

    def _receive_srtp(self, transport: TransportId, data: bytes, *, rtcp: bool) -> None:
        state = self._transports[transport]
        call = lib.srtp_unprotect_rtcp if rtcp else lib.srtp_unprotect
        plain = _srtp(call, state.rx, data) if state.rx else None
        if plain is None:
            state.counters["unauthentic"] += 1
            return
        state.heard_at = time.monotonic()
        if not state.is_proven:
            state.is_proven = True
            self.emit(events.Proven(transport))
        if state.is_idle:
            state.is_idle = False
            self.emit(events.Active(transport))
        if rtcp:
            self._receive_rtcp(transport, plain)
        else:
            self._receive_rtp(transport, state, plain)

    def _receive_rtcp(self, transport: TransportId, plain: bytes) -> None:
        for ssrc in keyframe_requests(plain):
            for forward in self._forwards.values():
                if forward.transport == transport and forward.ssrc == ssrc and forward.track:
                    self.request_keyframe(forward.track)
        report = sender_report(plain)
        if report is None:
            return
        for track, state in self._tracks.items():
            for index, (ssrc, _) in state.seen.items():
                if state.transport == transport and ssrc == report[0]:
                    for tap, header in self._open_taps(track, index, ssrc):
                        self._write_tap(tap, SrRecord(header, *report[1:]))

    def _receive_rtp(self, transport: TransportId, source: _Transport, data: bytes) -> None:
        packet = FakeRtp.parse(data)
        found = None if packet is None else self._find_track(transport, source, packet)
        if packet is None or found is None:
            source.counters["unknown_ssrc"] += 1
            return
        track, index = found
        state = self._tracks[track]
        codec = state.codecs.get(packet.pt)
        if codec is None:
            state.counters["unknown_pt"] += 1
            return
        carried = codec
        if codec == "red" and not state.is_e2ee:
            try:
                frame = parse_red(packet.payload)[-1]
            except RedError:
                state.counters["red_malformed"] += 1
                return
            plain, carried = replace(packet, pt=frame.payload_type, payload=frame.data), "opus"
        else:
            plain = packet
        changed = state.seen.get(index) != (packet.ssrc, carried)
        state.seen[index] = (packet.ssrc, carried)
        if changed:
            self.emit(events.EncodingSeen(track, index, packet.ssrc, state.encodings[index].rid, carried))
        if not state.is_enabled:
            state.counters["disabled"] += 1
            return
        state.counters["packets"] += 1
        self._take_level(track, source, packet)
        for forward, rule in list(self._forwards.items()):
            if rule.track == track and index == min(state.seen):
                has_codec = codec in rule.payload_types
                self._forward(forward, rule, packet if has_codec else plain, codec if has_codec else carried)
        for tap, header in self._open_taps(track, index, packet.ssrc):
            tapped = self._taps[tap]
            flags = FLAG_CODEC_CHANGED if tapped.codec not in {"", carried} else 0
            tapped.codec = carried
            number = next((n for n, name in enumerate(CODEC_NAMES) if name == carried), 0)
            body = data if plain is packet else plain.write()
            self._write_tap(tap, RtpRecord(replace(header, flags=flags, codec=number), body))

    def _find_track(
        self, transport: TransportId, source: _Transport, packet: FakeRtp
    ) -> tuple[TrackId, int] | None:
        mid = packet.extensions.get(source.receive_extensions.get("mid", 0), b"").decode("ascii", "replace")
        rid = packet.extensions.get(source.receive_extensions.get("rid", 0), b"").decode("ascii", "replace")
        for track, state in self._tracks.items():
            if state.transport != transport:
                continue
            for index, encoding in enumerate(state.encodings):
                known = state.seen.get(index, (encoding.ssrc, ""))[0]
                by_name = mid == state.mid and encoding.rid == rid
                if packet.ssrc == known or (not known and mid and by_name):
                    return track, index
        return None

    def _take_level(self, track: TrackId, source: _Transport, packet: FakeRtp) -> None:
        level = packet.extensions.get(source.receive_extensions.get("audio_level", 0))
        if not level:
            return
        self._levels[track] = (level[0] & 0x7F, bool(level[0] & 0x80))
        now = time.monotonic()
        if now - self._levels_at >= _LEVELS_EVERY_S:
            self._levels_at = now
            rows = tuple((t, value, voice) for t, (value, voice) in self._levels.items())
            self._levels.clear()
            self.emit(events.Levels(source.worker, rows))

    def _forward(self, forward: ForwardId, rule: _Forward, packet: FakeRtp, codec: str) -> None:
        target = self._transports[rule.transport]
        if rule.is_paused or not self._is_open(rule.gate):
            rule.counters["gated"] += 1
            return
        if codec not in rule.payload_types:
            if rule.refused != codec:
                rule.refused = codec
                self.emit(events.CodecUnsupported(forward, codec))
            return
        if packet.ssrc != rule.source_ssrc:
            rule.source_ssrc, rule.source_seq = packet.ssrc, packet.seq - 1
        rule.next_seq = (rule.next_seq + packet.seq - rule.source_seq) & 0xFFFF
        rule.source_seq = packet.seq
        mid_id = target.send_extensions.get("mid")
        out = FakeRtp(
            rule.payload_types[codec][0],
            rule.next_seq,
            packet.rtp_ts,
            rule.ssrc,
            packet.payload,
            packet.is_marker,
            {mid_id: rule.mid.encode()} if mid_id else {},
        )
        if self._send_srtp(target, out.write(), rtcp=False):
            rule.counters["packets"] += 1

    def _is_open(self, gate: Gate) -> bool:
        return not gate.slot or self._gates.is_open(gate.slot, gate.version)

    def _send_srtp(self, target: _Transport, plain: bytes, *, rtcp: bool) -> bool:
        path = target.selected
        call = lib.srtp_protect_rtcp if rtcp else lib.srtp_protect
        data = _srtp(call, target.tx, plain) if path is not None and target.tx else None
        if path is None or data is None:
            return False
        self.send(target.worker, path.socket, path.ip, path.port, data, kind=path.kind)
        return True

    def _open_taps(self, track: TrackId, index: int, ssrc: int) -> Iterator[tuple[TapId, TapHeader]]:
        for tap, state in list(self._taps.items()):
            if state.track == track and self._is_open(state.gate):
                now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
                yield tap, TapHeader(tap, index, state.gate.slot, state.gate.version, now, ssrc)

    def _write_tap(self, tap: TapId, record: RtpRecord | SrRecord) -> None:
        state = self._taps.get(tap)
        if state is None or state.sink in self._ended_sinks:
            return
        try:
            self._sinks[state.sink].send(encode_record(record))
            state.counters["records"] += 1
        except TapRecordError:
            state.counters["too_large"] += 1
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS}:
                state.counters["lost"] += 1
                return
            self._ended_sinks.add(state.sink)
            self.emit(events.SinkClosed(state.sink, error.strerror or "closed"))


def _fields(row: Any) -> tuple[Any, ...]:
    if isinstance(row, EngineCodec):
        return (row.pt, row.name, row.clock_hz, row.rtx_pt)
    if isinstance(row, EngineEncoding):
        return (row.rid, row.ssrc, row.rtx_ssrc)
    return tuple(row)


def _srtp(call: Any, session: int, data: bytes) -> bytes | None:
    size = ffi.new("int *", len(data))
    buffer = ffi.new("char[]", len(data) + _TRAILER)
    ffi.buffer(buffer)[0 : len(data)] = data
    if call(ffi.cast("srtp_t", session), buffer, size) != lib.srtp_err_status_ok:
        return None
    return bytes(ffi.buffer(buffer, size[0]))
