"""The model engine: its commands and its clock.

Runs on the event loop's thread. Datagrams go in by `receive` and come out by `on_send`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from media.gates import Gate, GatePage
from sfu.config import MediaConfig
from sfu.engine import events
from sfu.engine.api import Listener
from sfu.engine.fake.flow import Flow
from sfu.engine.fake.world import Forward, Path, Tap, Track, Transport, World
from sfu.engine.srtp_table import check_masters
from sfu.engine.types import (
    NO_MASTERS,
    NO_STAGE,
    Ack,
    Address,
    EngineCodec,
    EngineEncoding,
    ForwardId,
    Kind,
    Masters,
    PathKind,
    SinkId,
    StageId,
    TapId,
    TrackId,
    TransportId,
)
from sfu.errors import EngineError

_MAX_PATHS: Final = 4
Send = Callable[[int, int, str, int, bytes, PathKind], None]


class FakeEngine:
    """An `Engine` in memory; also the factory that `MediaPlane.start(config, engine=FakeEngine)` wants."""

    def __init__(self, config: MediaConfig, gates: GatePage) -> None:
        self.workers = config.workers
        self.on_send: Send | None = None
        """Who gets the datagrams that the engine sends: (worker, socket, ip, port, data, kind)."""
        self.world = World()
        """What the engine has been told to route."""
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
        self._flow = Flow(self.world, gates, self.emit, self.send)
        self._idle_timer: asyncio.TimerHandle | None = None

    @property
    def counters(self) -> Counter[str]:
        """Dropped datagrams by reason."""
        return self._flow.counters

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
        self._flow.sinks.close_all()
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
        for transport, state in self.world.transports.items():
            if state.is_proven and not state.is_idle and now - state.heard_at > self._idle_s:
                state.is_idle = True
                self.emit(events.Idle(transport))
        self._idle_timer = asyncio.get_running_loop().call_later(self._idle_s / 4, self._watch_idle)

    # transports
    def add_transport(self, transport: TransportId, worker: int, ufrags: Sequence[str]) -> Ack:
        """See `Engine`."""
        if transport in self.world.transports:
            return self._command("transport exists")
        if not 0 <= worker < self.workers:
            return self._command("no such worker")
        self.world.transports[transport] = Transport(worker, tuple(ufrags))
        return self._command()

    def add_injected_transport(self, transport: TransportId, worker: int, sink: SinkId) -> Ack:
        """See `Engine`. The model tells no wishes for keyframes."""
        if sink not in self._flow.sinks:
            return self._command("unknown sink")
        if transport in self.world.transports:
            return self._command("transport exists")
        if self._flow.sinks.is_feeding(sink):
            return self._command("the sink feeds another transport")
        self.world.transports[transport] = Transport(worker, ())
        self._flow.sinks.feed(sink, transport)
        return self._command()

    def set_ufrags(self, transport: TransportId, ufrags: Sequence[str]) -> Ack:
        """See `Engine`."""
        return self._set(transport, "ufrags", tuple(ufrags))

    def lend_credentials(self, transport: TransportId, ufrag: str, pwd: str) -> Ack:
        """See `Engine`. The model leaves all checks to Python."""
        return self._set(transport, "lent", (ufrag, pwd))

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
        state = self.world.transports.get(transport)
        if state is None:
            return self._command("unknown transport")
        path = state.path(socket, ip, port, kind)
        if path is None:
            if len(state.paths) == _MAX_PATHS:
                state.paths.remove(next(p for p in state.paths if not p.is_selected))
            path = Path(socket, ip, port, kind, is_selected=False)
            state.paths.append(path)
        if selected:
            for other in state.paths:
                other.is_selected = other is path
            self._flow.welcome(transport)
        return self._command()

    def unbind_path(
        self, transport: TransportId, socket: int, ip: str, port: int, *, kind: PathKind = "udp"
    ) -> Ack:
        """See `Engine`."""
        state = self.world.transports.get(transport)
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

    def set_srtp(
        self, transport: TransportId, rx: int, tx: int, profile: str, masters: Masters = NO_MASTERS
    ) -> Ack:
        """See `Engine`; libsrtp does it all."""
        check_masters(profile, masters)
        state = self.world.transports.get(transport)
        if state is None:
            return self._command("unknown transport")
        if profile not in {"AEAD_AES_128_GCM", "AES128_CM_SHA1_80"}:
            return self._command("unknown profile")
        state.rx, state.tx = rx, tx
        self._flow.welcome(transport)
        return self._command()

    def set_receive_extensions(self, transport: TransportId, ids: Mapping[str, int]) -> Ack:
        """See `Engine`."""
        return self._set(transport, "receive_extensions", dict(ids))

    def set_send_extensions(self, transport: TransportId, ids: Mapping[str, int]) -> Ack:
        """See `Engine`."""
        return self._set(transport, "send_extensions", dict(ids))

    def set_wanted(self, transport: TransportId, bps: int) -> Ack:
        """See `Engine`."""
        return self._set(transport, "wanted_bps", bps)

    def _set(self, transport: TransportId, name: str, value: object) -> Ack:
        state = self.world.transports.get(transport)
        if state is None:
            return self._command("unknown transport")
        setattr(state, name, value)
        return self._command()

    def remove_transport(self, transport: TransportId) -> Ack:
        """See `Engine`."""
        if transport not in self.world.transports:
            return self._command("unknown transport")
        self._flow.sinks.starve(transport)
        self.world.remove_transport(transport)
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
        if track in self.world.tracks:
            return self._command("track exists")
        if transport not in self.world.transports:
            return self._command("unknown transport")
        by_pt = {codec.pt: codec.name for codec in (EngineCodec(*c) for c in map(_fields, codecs))}
        layers = tuple(EngineEncoding(*_fields(e)) for e in encodings)
        self.world.tracks[track] = Track(transport, kind, mid, by_pt, layers, e2ee)
        return self._command()

    def set_stage(self, worker: int, stage: StageId, places: int) -> Ack:  # noqa: ARG002
        """See `Engine`. The model forwards everyone."""
        return self._command("" if 0 <= worker < self.workers else "no such worker")

    def remove_track(self, track: TrackId) -> Ack:
        """See `Engine`."""
        if track not in self.world.tracks:
            return self._command("unknown track")
        self.world.remove_track(track)
        return self._command()

    def set_track_enabled(self, track: TrackId, *, enabled: bool) -> Ack:
        """See `Engine`."""
        state = self.world.tracks.get(track)
        if state is None:
            return self._command("unknown track")
        if state.is_enabled != enabled:
            state.is_enabled = enabled
            for recent in state.recent.values():
                recent.clear()
        return self._command()

    def request_keyframe(self, track: TrackId) -> Ack:
        """See `Engine`."""
        if track not in self.world.tracks:
            return self._command("unknown track")
        self._flow.request_keyframe(track)
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
        if forward in self.world.forwards:
            return self._command("forward exists")
        if track not in self.world.tracks:
            return self._command("unknown track")
        if transport not in self.world.transports:
            return self._command("unknown transport")
        if gate.slot and self.world.tracks[track].is_e2ee:
            return self._command("e2ee")
        self.world.forwards[forward] = Forward(track, transport, ssrc, mid, dict(payload_types), gate, paused)
        self._flow.welcome(transport)
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
        state = self.world.forwards.get(forward)
        if state is None:
            return self._command("unknown forward")
        state.is_paused = paused
        self._flow.welcome(state.transport)
        return self._command()

    def set_forward_source(self, forward: ForwardId, track: TrackId, gate: Gate) -> Ack:
        """See `Engine`."""
        state = self.world.forwards.get(forward)
        if state is None:
            return self._command("unknown forward")
        if track and track not in self.world.tracks:
            return self._command("unknown track")
        if track and state.track and self.world.tracks[track].kind != self.world.tracks[state.track].kind:
            return self._command("kinds differ")
        if track and gate.slot and self.world.tracks[track].is_e2ee:
            return self._command("e2ee")
        state.track, state.gate, state.refused, state.source_ssrc = track, gate, "", 0
        state.open_since = None
        self._flow.welcome(state.transport)
        return self._command()

    def set_forward_gate(self, forward: ForwardId, gate: Gate) -> Ack:
        """See `Engine`."""
        state = self.world.forwards.get(forward)
        if state is None:
            return self._command("unknown forward")
        if gate.slot and state.track and self.world.tracks[state.track].is_e2ee:
            return self._command("e2ee")
        if state.gate != gate:
            state.gate, state.open_since = gate, None
        return self._command()

    def remove_forward(self, forward: ForwardId) -> Ack:
        """See `Engine`."""
        return self._command("" if self.world.forwards.pop(forward, None) else "unknown forward")

    # taps
    def add_sink(self, sink: SinkId, fd: int) -> Ack:
        """See `Engine`."""
        return self._command("sink exists" if sink in self._flow.sinks else self._flow.sinks.open(sink, fd))

    def remove_sink(self, sink: SinkId) -> Ack:
        """See `Engine`."""
        if sink not in self._flow.sinks:
            return self._command("unknown sink")
        self._flow.sinks.close(sink)
        self.world.remove_sink(sink)
        return self._command()

    def add_tap(self, tap: TapId, track: TrackId, sink: SinkId, gate: Gate) -> Ack:
        """See `Engine`."""
        if tap in self.world.taps:
            return self._command("tap exists")
        if track not in self.world.tracks:
            return self._command("unknown track")
        if sink not in self._flow.sinks:
            return self._command("unknown sink")
        if self.world.tracks[track].is_e2ee:
            return self._command("e2ee")
        self.world.taps[tap] = Tap(track, sink, gate)
        return self._command()

    def set_tap_gate(self, tap: TapId, gate: Gate) -> Ack:
        """See `Engine`."""
        state = self.world.taps.get(tap)
        if state is None:
            return self._command("unknown tap")
        state.gate = gate
        return self._command()

    def remove_tap(self, tap: TapId) -> Ack:
        """See `Engine`."""
        return self._command("" if self.world.taps.pop(tap, None) else "unknown tap")

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
        return events.Stats(0, dict(self.counters), *self.world.rows(worker))

    # packets
    def receive(
        self, worker: int, socket: int, ip: str, port: int, data: bytes, kind: PathKind = "udp"
    ) -> None:
        """Take one datagram as if it had arrived at the worker's socket, or on a connection of a remote."""
        self._flow.receive(worker, Path(socket, ip, port, kind, is_selected=False), data)

    def disconnect(self, ip: str, port: int) -> None:
        """End a TCP connection, as its remote would."""
        for transport, state in self.world.transports.items():
            for path in [p for p in state.paths if (p.ip, p.port, p.kind) == (ip, port, "tcp")]:
                state.paths.remove(path)
                self.emit(events.PathClosed(transport, path.socket, ip, port, "tcp"))


def _fields(row: Any) -> tuple[Any, ...]:
    if isinstance(row, EngineCodec):
        return (row.pt, row.name, row.clock_hz, row.rtx_pt)
    if isinstance(row, EngineEncoding):
        return (row.rid, row.ssrc, row.rtx_ssrc)
    return tuple(row)
