"""The media plane of one node: engine, certificate, gates, routers."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Self, assert_never

import structlog

from media.gates import GateAllocator, GatePage
from media.tasks import TaskScope
from sfu.config import MediaConfig
from sfu.engine import events
from sfu.engine.api import Engine
from sfu.engine.types import Address, TrackId
from sfu.errors import RouterClosed, TcpPortTaken
from sfu.route.events import PeerId
from sfu.route.registry import Registry
from sfu.route.roster import Roster
from sfu.route.router import Router
from sfu.sdp import CodecPolicy
from sfu.stats import PlaneStats
from sfu.transport.candidates import host_candidates
from sfu.transport.dtls import DtlsIdentity
from sfu.transport.host import PeerHost

_log = structlog.get_logger("sfu.plane")

EngineFactory = Callable[[MediaConfig, GatePage], Engine]
_CLOSE_PATIENCE_S: Final = 2.0


class MediaPlane:
    """Owner of the engine and of every router; one for each server process. Made by `start`."""

    def __init__(self, host: PeerHost, gates: GatePage) -> None:
        self.gates = gates
        """The shared page; `gates.read_only_fd()` goes to worker processes."""
        self.allocator = GateAllocator(gates.slots)
        """Hands out slots of the page."""
        self._host = host
        self._registry = Registry(host.engine.workers, host.config.spread)
        self._routers: set[Router] = set()
        self._counters = host.counters
        self._is_closed = False

    @classmethod
    async def start(cls, config: MediaConfig, *, engine: EngineFactory | None = None) -> Self:
        """Bind the sockets and start the engine: the native one, or what `engine` makes.

        Raises:
            EngineError: the engine's self-test failed.
            OSError: an address or port cannot be bound.
        """
        gates = GatePage.create(config.gate_slots)
        tasks = TaskScope("plane")
        made: Engine | None = None
        try:
            await tasks.open()
            made = (engine or _native)(config, gates)
            host = PeerHost(
                engine=made,
                identity=DtlsIdentity.generate(),
                config=config,
                candidates=_candidates(config, made),
                rng=random.SystemRandom(),
                tasks=tasks,
            )
            plane = cls(host, gates)
            made.listen(plane.receive)
        except BaseException:
            await tasks.close()
            if made is not None:
                await made.close()
            gates.close()
            raise
        _log.info("plane_started", workers=made.workers, count=sum(map(len, host.candidates)))
        return plane

    @property
    def engine(self) -> Engine:
        """The engine below, for diagnosis and tests; routers are the way to use it."""
        return self._host.engine

    @property
    def data_message_bytes(self) -> int | None:
        """The longest data message that publishers may send; None when there are no data channels."""
        config = self._host.config
        return config.data_message_bytes if config.data else None

    def router(self, room: str, codecs: CodecPolicy) -> Router:
        """Make the router of a room; `room` only names it in logs. Close it when the room closes.

        Raises:
            RouterClosed: the plane is closed.
        """
        if self._is_closed:
            raise RouterClosed("the media plane is closed")
        # Rooms that are still empty count too: many of them opened at once are spread.
        empty = Counter(router.worker for router in self._routers)
        load = self._registry.load
        worker = min(range(self.engine.workers), key=lambda index: load[index] + empty[index])
        router = Router(room, codecs, worker, self._host, self._registry, self._routers.discard)
        self._routers.add(router)
        return router

    async def stats(self) -> PlaneStats:
        """Counters of the whole plane."""
        async with asyncio.timeout(self._host.config.command_timeout_s):
            workers = [
                (await self.engine.query_stats(worker)).worker for worker in range(self.engine.workers)
            ]
        mine = {
            "routers": len(self._routers),
            "peers": len(self._registry.peers),
            "tracks": len(self._registry.tracks),
            "forwards": len(self._registry.forwards),
            "sinks": len(self._registry.sinks),
            **self._counters,
        }
        return PlaneStats(tuple(workers), mine)

    async def close(self) -> None:
        """Close every router, then the engine. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        await asyncio.gather(*(router.close() for router in list(self._routers)))
        await self._host.tasks.close(patience_s=_CLOSE_PATIENCE_S)
        await self.engine.close()
        # The engine's threads are gone: nobody uses a session that it never let go of.
        self._host.kept.clear()
        self.gates.close()
        _log.info("plane_stopped")

    def receive(self, event: events.Event) -> None:
        """Pass an engine event to whom it concerns; never raises."""
        try:
            self._dispatch(event)
        except Exception:  # noqa: BLE001 - one event's trouble must not stop the engine's reader
            self._counters["event_failures"] += 1
            _log.exception("event_failed", kind=type(event).__name__)

    def _dispatch(self, event: events.Event) -> None:
        registry = self._registry
        match event:
            case (
                events.Stun()
                | events.Dtls()
                | events.PathClosed()
                | events.Proven()
                | events.Idle()
                | events.Active()
                | events.Bandwidth()
            ):
                peer = registry.peers.get(PeerId(event.transport))
                if peer is None:
                    self._counters["stale_events"] += 1
                else:
                    peer.receive(event)
            case events.EncodingSeen() | events.Layers():
                roster = registry.tracks.get(event.track)
                if roster is not None:
                    roster.on_track(event)
            case events.Levels():
                self._spread_levels(event)
            case events.Heard():
                self._spread_heard(event)
            case events.CodecUnsupported():
                roster = registry.forwards.get(event.forward)
                if roster is not None:
                    roster.on_codec_unsupported(event)
            case events.SinkClosed():
                roster = registry.sinks.get(event.sink)
                if roster is not None:
                    roster.on_sink_closed(event)
            case events.Keyframe() | events.Acked() | events.Stats():
                pass
            case _ as never:
                assert_never(never)

    def _spread_heard(self, event: events.Heard) -> None:
        for transport, age_ms in event.heard:
            peer = self._registry.peers.get(PeerId(transport))
            if peer is not None:
                peer.hear(age_ms / 1000)

    def _spread_levels(self, event: events.Levels) -> None:
        rows: dict[Roster, list[tuple[TrackId, int, bool]]] = {}
        for track, level, has_voice in event.levels:
            roster = self._registry.tracks.get(track)
            if roster is not None:
                # RFC 6464 writes the level as a positive number of dB below overload.
                rows.setdefault(roster, []).append((track, -abs(level), has_voice))
        for roster, levels in rows.items():
            roster.on_levels(levels)


def _native(config: MediaConfig, gates: GatePage) -> Engine:
    from sfu.engine.native import NativeEngine  # noqa: PLC0415 - tests with another engine need no native build

    try:
        return NativeEngine(config, gates)
    except TcpPortTaken as error:
        # ICE-TCP is a last resort: without it most calls work as before.
        _log.warning("ice_tcp_unavailable", reason=str(error))
        return NativeEngine(replace(config, tcp_port=None), gates)


def _candidates(config: MediaConfig, engine: Engine) -> tuple[tuple[str, ...], ...]:
    tcp = _announced(config, engine.tcp_addresses())
    workers = range(engine.workers)
    return tuple(host_candidates(_announced(config, engine.addresses(worker)), tcp) for worker in workers)


def _announced(config: MediaConfig, bound: list[Address]) -> list[Address]:
    names = config.announced or tuple(ip for ip, _ in bound)
    return [(name, port) for name, (_, port) in zip(names, bound, strict=False)]
