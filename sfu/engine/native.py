"""The media engine of the product: the native core (`_core`) behind the typed contract of `api.py`.

All methods run on the event loop's thread; packets run in the core's own threads and never come here.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple
from typing import Any, Final

import structlog

from media.gates import Gate, GatePage
from sfu.config import MediaConfig
from sfu.engine import _core, events, openssl_hmac, srtp_table
from sfu.engine.api import Listener
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
from sfu.errors import EngineError, QueueFull, TcpPortTaken

_POLL_LIMIT: Final = 1024
_MOST_UNHEARD: Final = 32
_STATS_TIMEOUT_S: Final = 5.0
_log = structlog.get_logger(__name__)


class NativeEngine:
    """A `ClientEngine` on the native core; make it on the loop that will run it, and `close` it there.

    Raises:
        EngineError: libsrtp is not the one that the core was written for, or an address cannot be bound.
        TcpPortTaken: the TCP port cannot be listened on.
    """

    def __init__(
        self, config: MediaConfig, gates: GatePage, *, coalesce_us: int = 2000, gro: bool = True
    ) -> None:
        self.workers = config.workers
        self.unheeded_errors = 0
        """Commands that the core refused while nobody awaited the answer."""
        self._listener: Listener | None = None
        self._acks: dict[int, Ack] = {}
        self._stats: dict[int, asyncio.Future[events.Stats]] = {}
        self._is_closed = False
        self._unheard = 0
        """Commands that wait in queues whose workers have not been woken for them."""
        table = srtp_table.load_srtp()
        sockets = [
            [(ip, config.port + worker if config.port else 0) for ip in config.addresses]
            for worker in range(config.workers)
        ]
        try:
            self._core = _core.Engine(
                workers=config.workers,
                sockets=sockets,
                gate_fd=gates.fd,
                gate_slots=gates.slots,
                srtp=tuple(table),
                coalesce_us=coalesce_us,
                idle_ms=config.idle_ms,
                gro=gro,
                hmac=openssl_hmac.load_hmac(),
                tcp=[] if config.tcp_port is None else [(ip, config.tcp_port) for ip in config.addresses],
            )
        except (RuntimeError, ValueError) as error:
            if str(error).startswith("listen on "):
                raise TcpPortTaken(str(error)) from error
            raise EngineError(str(error)) from error
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._core.event_fd, self._drain)

    # the engine's frame
    def addresses(self, worker: int) -> list[Address]:
        """See `Engine`."""
        return self._core.addresses(worker)

    def tcp_addresses(self) -> list[Address]:
        """See `Engine`."""
        return self._core.tcp_addresses()

    def listen(self, listener: Listener) -> None:
        """See `Engine`."""
        self._listener = listener

    async def close(self) -> None:
        """See `Engine`. The threads are joined in the time of one loop of theirs, a few milliseconds."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._core.event_fd)
        self._core.close()
        # The Acks that the core still gave count; what it never came to fails.
        self._deliver(self._core.poll(1 << 20))
        self._listener = None
        acks, self._acks = self._acks, {}
        for ack in acks.values():
            ack.settle("closed")
        for waiter in self._stats.values():
            if not waiter.done():
                waiter.set_exception(EngineError("closed"))

    def _drain(self) -> None:
        self._deliver(self._core.poll(_POLL_LIMIT))
        self._flush()

    def _flush(self) -> None:
        """Wake the workers for what was queued: once for all commands of a round of the event loop."""
        if self._unheard and not self._is_closed:
            self._unheard = 0
            self._core.flush()

    def _deliver(self, raw_events: Sequence[tuple[Any, ...]]) -> None:
        for raw in raw_events:
            event = events.parse(raw)
            match event:
                case None:
                    _log.warning("engine_event_unknown", name=raw[0])
                case events.Acked():
                    self._settle(event)
                case events.Stats():
                    waiter = self._stats.pop(event.ack, None)
                    if waiter is not None and not waiter.done():
                        waiter.set_result(event)
                case _ if self._listener is not None:
                    self._listener(event)

    def _settle(self, event: events.Acked) -> None:
        ack = self._acks.pop(event.ack, None)
        if ack is None:
            return
        if event.error and not ack.is_awaited:
            self.unheeded_errors += 1
            _log.debug("engine_command_refused", ack=event.ack, reason=event.error)
        ack.settle(event.error)

    def _number(self, command: Callable[..., int], *fields: Any) -> int:
        if self._is_closed:
            raise EngineError("closed")
        try:
            number = command(*fields)
        except _core.QueueFull as error:
            raise QueueFull(str(error)) from error
        except ValueError as error:
            raise EngineError(str(error)) from error
        self._unheard += 1
        if self._unheard == 1:
            self._loop.call_soon(self._flush)
        elif self._unheard >= _MOST_UNHEARD:
            self._flush()
        return number

    def _command(self, command: Callable[..., int], *fields: Any) -> Ack:
        ack = Ack(self._number(command, *fields))
        self._acks[ack.number] = ack
        return ack

    # transports
    def add_transport(self, transport: TransportId, worker: int, ufrags: Sequence[str]) -> Ack:
        """See `Engine`."""
        return self._command(self._core.add_transport, transport, worker, list(ufrags))

    def add_injected_transport(self, transport: TransportId, worker: int, sink: SinkId) -> Ack:
        """See `Engine`."""
        return self._command(self._core.add_injected_transport, transport, worker, sink)

    def set_ufrags(self, transport: TransportId, ufrags: Sequence[str]) -> Ack:
        """See `Engine`."""
        return self._command(self._core.set_ufrags, transport, list(ufrags))

    def lend_credentials(self, transport: TransportId, ufrag: str, pwd: str) -> Ack:
        """See `Engine`."""
        return self._command(self._core.lend_credentials, transport, ufrag, pwd)

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
        return self._command(self._core.bind_path, transport, socket, ip, port, selected, kind)

    def unbind_path(
        self, transport: TransportId, socket: int, ip: str, port: int, *, kind: PathKind = "udp"
    ) -> Ack:
        """See `Engine`."""
        return self._command(self._core.unbind_path, transport, socket, ip, port, kind)

    def send(
        self, worker: int, socket: int, ip: str, port: int, data: bytes, *, kind: PathKind = "udp"
    ) -> None:
        """See `Engine`. A full queue drops the datagram, as a network would: STUN and DTLS send again."""
        with suppress(EngineError):
            self._number(self._core.send, worker, socket, ip, port, data, kind)

    def set_srtp(
        self, transport: TransportId, rx: int, tx: int, profile: str, masters: Masters = NO_MASTERS
    ) -> Ack:
        """See `Engine`."""
        return self._command(self._core.set_srtp, transport, rx, tx, profile, *masters)

    def set_receive_extensions(self, transport: TransportId, ids: Mapping[str, int]) -> Ack:
        """See `Engine`."""
        return self._command(self._core.set_receive_extensions, transport, dict(ids))

    def set_send_extensions(self, transport: TransportId, ids: Mapping[str, int]) -> Ack:
        """See `Engine`."""
        return self._command(self._core.set_send_extensions, transport, dict(ids))

    def set_wanted(self, transport: TransportId, bps: int) -> Ack:
        """See `Engine`."""
        return self._command(self._core.set_wanted, transport, bps)

    def remove_transport(self, transport: TransportId) -> Ack:
        """See `Engine`."""
        return self._command(self._core.remove_transport, transport)

    # publisher side
    def add_track(
        self,
        track: TrackId,
        transport: TransportId,
        kind: Kind,
        mid: str,
        codecs: Sequence[EngineCodec],
        encodings: Sequence[EngineEncoding],
        *,
        nack: bool,
        twcc: bool,
        e2ee: bool = False,
        fir: bool = False,
        stage: StageId = NO_STAGE,
    ) -> Ack:
        """See `Engine`."""
        return self._command(
            self._core.add_track,
            track,
            transport,
            kind,
            mid,
            [astuple(codec) for codec in codecs],
            [astuple(encoding) for encoding in encodings],
            nack,
            twcc,
            e2ee,
            fir,
            stage,
        )

    def set_stage(self, worker: int, stage: StageId, places: int) -> Ack:
        """See `Engine`."""
        return self._command(self._core.set_stage, worker, stage, places)

    def remove_track(self, track: TrackId) -> Ack:
        """See `Engine`."""
        return self._command(self._core.remove_track, track)

    def set_track_enabled(self, track: TrackId, *, enabled: bool) -> Ack:
        """See `Engine`."""
        return self._command(self._core.set_track_enabled, track, enabled)

    def request_keyframe(self, track: TrackId) -> Ack:
        """See `Engine`."""
        return self._command(self._core.request_keyframe, track)

    # subscriber side
    def add_forward(
        self,
        forward: ForwardId,
        track: TrackId,
        transport: TransportId,
        ssrc: int,
        rtx_ssrc: int,
        mid: str,
        payload_types: Mapping[str, tuple[int, int]],
        gate: Gate,
        *,
        paused: bool,
    ) -> Ack:
        """See `Engine`."""
        return self._command(
            self._core.add_forward,
            forward,
            track,
            transport,
            ssrc,
            rtx_ssrc,
            mid,
            dict(payload_types),
            gate.slot,
            gate.version,
            paused,
        )

    def set_forward(
        self,
        forward: ForwardId,
        *,
        paused: bool,
        spatial: int = -1,
        temporal: int = -1,
        at_once: bool = False,
    ) -> Ack:
        """See `Engine`."""
        return self._command(self._core.set_forward, forward, paused, spatial, temporal, at_once)

    def set_forward_source(self, forward: ForwardId, track: TrackId, gate: Gate) -> Ack:
        """See `Engine`."""
        return self._command(self._core.set_forward_source, forward, track, gate.slot, gate.version)

    def set_forward_gate(self, forward: ForwardId, gate: Gate) -> Ack:
        """See `Engine`."""
        return self._command(self._core.set_forward_gate, forward, gate.slot, gate.version)

    def remove_forward(self, forward: ForwardId) -> Ack:
        """See `Engine`."""
        return self._command(self._core.remove_forward, forward)

    # taps
    def add_sink(self, sink: SinkId, fd: int) -> Ack:
        """See `Engine`."""
        try:
            return self._command(self._core.add_sink, sink, fd)
        except RuntimeError as error:
            raise EngineError(str(error)) from error

    def remove_sink(self, sink: SinkId) -> Ack:
        """See `Engine`."""
        return self._command(self._core.remove_sink, sink)

    def add_tap(self, tap: TapId, track: TrackId, sink: SinkId, gate: Gate) -> Ack:
        """See `Engine`. A tap always stands behind a gate: slot 0 is refused."""
        return self._command(self._core.add_tap, tap, track, sink, gate.slot, gate.version)

    def set_tap_gate(self, tap: TapId, gate: Gate) -> Ack:
        """See `Engine`."""
        return self._command(self._core.set_tap_gate, tap, gate.slot, gate.version)

    def remove_tap(self, tap: TapId) -> Ack:
        """See `Engine`."""
        return self._command(self._core.remove_tap, tap)

    # gates
    def open_gate(self, slot: int, version: int) -> None:
        """See `Engine`."""
        self._core.open_gate(slot, version)

    def close_gate(self, slot: int, version: int) -> None:
        """See `Engine`."""
        self._core.close_gate(slot, version)

    def fence(self, worker: int) -> Ack:
        """See `Engine`."""
        ack = self._command(self._core.fence, worker)
        self._flush()
        return ack

    async def query_stats(self, worker: int) -> events.Stats:
        """See `Engine`.

        Raises:
            EngineError: no such worker, or no answer in time.
        """
        if not 0 <= worker < self.workers:
            raise EngineError("unknown worker")
        number = self._number(self._core.query_stats, worker)
        waiter: asyncio.Future[events.Stats] = self._loop.create_future()
        self._stats[number] = waiter
        try:
            async with asyncio.timeout(_STATS_TIMEOUT_S):
                return await waiter
        except TimeoutError as error:
            raise EngineError("no stats in time") from error
        finally:
            self._stats.pop(number, None)

    # client mode
    def add_client_transport(
        self,
        transport: TransportId,
        worker: int,
        socket: int,
        ip: str,
        port: int,
        *,
        loss: float = 0.0,
        rtx_pt: int = -1,
    ) -> Ack:
        """See `ClientEngine`."""
        command = self._core.add_client_transport
        return self._command(command, transport, worker, socket, ip, port, loss, rtx_pt)

    def add_generator(
        self,
        track: TrackId,
        transport: TransportId,
        ssrc: int,
        pt: int,
        clock_hz: int,
        packets_per_s: float,
        burst: int,
        size: int,
        mid: str,
        codec: str,
        *,
        rid: str = "",
        height: int = 0,
    ) -> Ack:
        """See `ClientEngine`."""
        return self._command(
            self._core.add_generator,
            track,
            transport,
            ssrc,
            pt,
            clock_hz,
            packets_per_s,
            burst,
            size,
            mid,
            codec,
            rid,
            height,
        )

    def remove_generator(self, track: TrackId) -> Ack:
        """See `ClientEngine`."""
        return self._command(self._core.remove_generator, track)
