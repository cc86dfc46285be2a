"""A packet's way through the model engine: from a datagram to the forwards and taps of its track."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, Protocol

from pylibsrtp._binding import ffi, lib

from media.gates import Gate, GatePage
from media.red import RedError, parse_red
from media.tap_record import CODEC_NAMES, FLAG_CODEC_CHANGED, RtpRecord, SrRecord, TapHeader
from sfu.engine import events
from sfu.engine.fake.recent import Recent, Stored
from sfu.engine.fake.rtp import FakeRtp, keyframe_requests, picture_loss, sender_report, stun_local_ufrag
from sfu.engine.fake.sinks import Sinks
from sfu.engine.fake.world import Forward, Path, Tap, Track, Transport, World
from sfu.engine.types import ForwardId, PathKind, TrackId, TransportId
from sfu.wire.demux import DatagramKind, classify

_LEVELS_EVERY_S: Final = 0.2
_TRAILER: Final = 160


class Send(Protocol):
    """Who sends a datagram."""

    def __call__(self, worker: int, socket: int, ip: str, port: int, data: bytes, *, kind: PathKind) -> None:
        """See `Engine.send`."""


class Flow:
    """What happens to packets, with the tables as they are."""

    def __init__(
        self, world: World, gates: GatePage, emit: Callable[[events.Event], None], send: Send
    ) -> None:
        self.counters: Counter[str] = Counter()
        """Dropped datagrams by reason."""
        self.sinks = Sinks(emit, self._receive_rtp)
        self._world = world
        self._gates = gates
        self._emit = emit
        self._send = send
        self._levels: dict[TrackId, tuple[int, bool]] = {}
        self._levels_at = 0.0

    def receive(self, worker: int, path: Path, data: bytes) -> None:
        """Take one datagram."""
        what = classify(data)
        if what is DatagramKind.STUN:
            self._receive_stun(worker, path, data)
            return
        if what is DatagramKind.UNKNOWN:
            self.counters["unknown"] += 1
            return
        transport = self._world.bound(worker, path.socket, path.ip, path.port, path.kind)
        if transport is None:
            self.counters["stranger"] += 1
        elif what is DatagramKind.DTLS:
            self._emit(events.Dtls(transport, path.socket, path.ip, path.port, data, path.kind))
        else:
            self._receive_srtp(transport, data, rtcp=what is DatagramKind.RTCP)

    def request_keyframe(self, track: TrackId) -> None:
        """Ask a track's publisher for a keyframe of every encoding."""
        state = self._world.tracks[track]
        source = self._world.transports[state.transport]
        for _, (ssrc, _) in sorted(state.seen.items()):
            self._send_srtp(source, picture_loss(ssrc), rtcp=True)
        state.counters["keyframe_requests"] += 1

    def welcome(self, transport: TransportId) -> None:
        """Something of the transport, or of its forwards, changed: those that can begin do so."""
        target = self._world.transports[transport]
        for forward, rule in list(self._world.forwards.items()):
            track = self._world.tracks.get(rule.track)
            if rule.transport != transport or track is None or not self._passes(rule) or rule.is_paused:
                continue
            if rule.counters["packets"] or not track.is_enabled or not track.seen:
                continue
            recent = track.recent.get(min(track.seen))
            now = time.monotonic()
            oldest = (rule.open_since or now) if rule.gate.slot else 0.0
            found = [] if recent is None else recent.since(oldest, now)
            if not found and track.kind == "video":
                self.request_keyframe(rule.track)
            for stored in found if target.selected is not None and target.tx else ():
                has_codec = stored.codec in rule.payload_types
                packet, codec = (stored.packet, stored.codec) if has_codec else (stored.plain, stored.carried)
                self._forward(forward, rule, packet, codec)

    def _receive_stun(self, worker: int, path: Path, data: bytes) -> None:
        transport = self._world.named(stun_local_ufrag(data), worker, path.kind)
        if transport is None:
            self.counters["stun_unknown_ufrag"] += 1
            return
        owner = self._world.transports[transport].worker
        self._emit(events.Stun(owner, path.socket, path.ip, path.port, transport, data, path.kind))

    def _receive_srtp(self, transport: TransportId, data: bytes, *, rtcp: bool) -> None:
        state = self._world.transports[transport]
        call = lib.srtp_unprotect_rtcp if rtcp else lib.srtp_unprotect
        plain = _srtp(call, state.rx, data) if state.rx else None
        if plain is None:
            state.counters["unauthentic"] += 1
            return
        state.heard_at = time.monotonic()
        if not state.is_proven:
            state.is_proven = True
            self._emit(events.Proven(transport))
        if state.is_idle:
            state.is_idle = False
            self._emit(events.Active(transport))
        if rtcp:
            self._receive_rtcp(transport, plain)
        else:
            self._receive_rtp(transport, plain)

    def _receive_rtcp(self, transport: TransportId, plain: bytes) -> None:
        for ssrc in keyframe_requests(plain):
            for forward in self._world.forwards.values():
                if forward.transport == transport and forward.ssrc == ssrc and forward.track:
                    self.request_keyframe(forward.track)
        report = sender_report(plain)
        if report is None:
            return
        for track, state in self._world.tracks.items():
            for index, (ssrc, _) in state.seen.items():
                if state.transport == transport and ssrc == report[0]:
                    for tap, header in self._open_taps(track, index, ssrc):
                        self.sinks.write(tap, SrRecord(header, *report[1:]))

    def _receive_rtp(self, transport: TransportId, data: bytes) -> None:
        source = self._world.transports[transport]
        packet = FakeRtp.parse(data)
        found = None if packet is None else self._world.source(transport, packet)
        if packet is None or found is None:
            source.counters["unknown_ssrc"] += 1
            return
        track, index = found
        state = self._world.tracks[track]
        read = _read(state, packet)
        if read is None:
            return
        codec, carried, plain = read
        if state.seen.get(index) != (packet.ssrc, carried):
            state.seen[index] = (packet.ssrc, carried)
            self._emit(events.EncodingSeen(track, index, packet.ssrc, state.encodings[index].rid, carried))
        if not state.is_enabled:
            state.counters["disabled"] += 1
            return
        state.counters["packets"] += 1
        self._take_level(track, source, packet)
        recent = state.recent.setdefault(index, Recent(state.kind))
        recent.receive(Stored(time.monotonic(), packet, codec, carried, plain))
        for forward, rule in list(self._world.forwards.items()):
            if rule.track == track and index == min(state.seen):
                has_codec = codec in rule.payload_types
                self._forward(forward, rule, packet if has_codec else plain, codec if has_codec else carried)
        for tap, header in self._open_taps(track, index, packet.ssrc):
            flags = FLAG_CODEC_CHANGED if tap.codec not in {"", carried} else 0
            tap.codec = carried
            number = next((n for n, name in enumerate(CODEC_NAMES) if name == carried), 0)
            body = data if plain is packet else plain.write()
            self.sinks.write(tap, RtpRecord(replace(header, flags=flags, codec=number), body))

    def _take_level(self, track: TrackId, source: Transport, packet: FakeRtp) -> None:
        level = packet.extensions.get(source.receive_extensions.get("audio_level", 0))
        if not level:
            return
        self._levels[track] = (level[0] & 0x7F, bool(level[0] & 0x80))
        now = time.monotonic()
        if now - self._levels_at >= _LEVELS_EVERY_S:
            self._levels_at = now
            rows = tuple(
                (t, value, voice) for t, (value, voice) in self._levels.items() if t in self._world.tracks
            )
            self._levels.clear()
            self._emit(events.Levels(source.worker, rows))

    def _forward(self, forward: ForwardId, rule: Forward, packet: FakeRtp, codec: str) -> None:
        target = self._world.transports[rule.transport]
        if not self._passes(rule) or rule.is_paused:
            rule.counters["gated"] += 1
            return
        if codec not in rule.payload_types:
            if rule.refused != codec:
                rule.refused = codec
                self._emit(events.CodecUnsupported(forward, codec))
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

    def _passes(self, rule: Forward) -> bool:
        if not self._is_open(rule.gate):
            rule.open_since = None
            return False
        if rule.open_since is None:
            rule.open_since = time.monotonic()
        return True

    def _is_open(self, gate: Gate) -> bool:
        return not gate.slot or self._gates.is_open(gate.slot, gate.version)

    def _send_srtp(self, target: Transport, plain: bytes, *, rtcp: bool) -> bool:
        path = target.selected
        call = lib.srtp_protect_rtcp if rtcp else lib.srtp_protect
        data = _srtp(call, target.tx, plain) if path is not None and target.tx else None
        if path is None or data is None:
            return False
        self._send(target.worker, path.socket, path.ip, path.port, data, kind=path.kind)
        return True

    def _open_taps(self, track: TrackId, index: int, ssrc: int) -> Iterator[tuple[Tap, TapHeader]]:
        for tap, state in list(self._world.taps.items()):
            if state.track == track and self._is_open(state.gate):
                now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
                yield state, TapHeader(tap, index, state.gate.slot, state.gate.version, now, ssrc)


def _read(track: Track, packet: FakeRtp) -> tuple[str, str, FakeRtp] | None:
    """A packet's codec, the one that it carries, and the packet without copies (RED); None: not readable."""
    codec = track.codecs.get(packet.pt)
    if codec is None:
        track.counters["unknown_pt"] += 1
        return None
    if codec != "red" or track.is_e2ee:
        return codec, codec, packet
    try:
        frame = parse_red(packet.payload)[-1]
    except RedError:
        track.counters["red_malformed"] += 1
        return None
    return codec, "opus", replace(packet, pt=frame.payload_type, payload=frame.data)


def _srtp(call: Any, session: int, data: bytes) -> bytes | None:
    size = ffi.new("int *", len(data))
    buffer = ffi.new("char[]", len(data) + _TRAILER)
    ffi.buffer(buffer)[0 : len(data)] = data
    if call(ffi.cast("srtp_t", session), buffer, size) != lib.srtp_err_status_ok:
        return None
    return bytes(ffi.buffer(buffer, size[0]))
