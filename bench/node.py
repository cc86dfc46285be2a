"""The load's native half: one engine in client mode, a socket for each peer connection, and who owns it."""

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from bench import plan
from bench.descriptions import Terms
from media.gates import GatePage
from media.tasks import TaskScope
from sfu import MediaConfig
from sfu.engine import Address, Dtls, Event, NativeEngine, Stun, TransportId


class NetworkOwner(Protocol):
    """Who hears what arrives for a transport before there are keys."""

    def receive(self, event: Stun | Dtls) -> None:
        """Take STUN or DTLS."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """All transports' counters at one moment."""

    transports: dict[int, dict[str, Any]]
    keyframe_requests: dict[int, int]
    """Of every encoding that is sent, by its SSRC."""
    latency_p50_ms: float
    """From a publisher's send to a decrypting subscriber, since the last reading."""
    latency_p99_ms: float
    frame_p50_ms: float
    """The same of the packets that end a frame: a decoder waits for no other."""
    frame_p99_ms: float


class Node:
    """Made by `open`; every method on the event loop's thread."""

    def __init__(
        self,
        engine: NativeEngine,
        gates: GatePage,
        tasks: TaskScope,
        sockets: int,
        loss: float,
        frames_per_s: float,
        encodings: Sequence[plan.Encoding],
        *,
        with_twcc: bool,
    ) -> None:
        self.engine = engine
        self.loss = loss
        """Share of the RTP that subscribers lose; they then ask for what is missing."""
        self.frames_per_s = frames_per_s
        """Of each camera."""
        self.encodings = encodings
        """In which each camera is sent."""
        self._heights = itertools.cycle([encoding.height for encoding in encodings])
        rids = tuple(encoding.rid for encoding in encodings if encoding.rid)
        self.terms = Terms(with_rtx=loss > 0 or with_twcc, with_twcc=with_twcc, rids=rids)
        """What peers negotiate."""
        self.tasks = tasks
        self._gates = gates
        self._free = deque(range(sockets))
        self._owners: dict[int, NetworkOwner] = {}
        self._last = 0
        self._addresses = engine.addresses(0)
        engine.listen(self._receive)

    @classmethod
    async def open(
        cls,
        sockets: int,
        *,
        ip: str = "",
        gro: bool = True,
        loss: float = 0.0,
        frames_per_s: float = plan.FRAMES_PER_S,
        encodings: Sequence[plan.Encoding] = plan.ONE_SIZE,
        with_twcc: bool = False,
    ) -> Self:
        """Bind so many sockets: on `ip`, or each on a loopback address of its own as far as they go.

        `with_twcc`: subscribers tell the server when each packet came, and take repairs.

        Raises:
            EngineError: an address cannot be bound.
        """
        ips = tuple(ip or f"127.1.{index // 250 % 250}.{index % 250 + 1}" for index in range(sockets))
        config = MediaConfig(addresses=ips, port=0, workers=1, gate_slots=64)
        gates = GatePage.create(config.gate_slots)
        tasks = TaskScope("load")
        await tasks.open()
        try:
            engine = NativeEngine(config, gates, coalesce_us=0, gro=gro)
        except BaseException:
            await tasks.close()
            gates.close()
            raise
        return cls(engine, gates, tasks, sockets, loss, frames_per_s, encodings, with_twcc=with_twcc)

    def next_height(self) -> int:
        """What the next viewer asks for: the height of each encoding by turns; 0: nothing."""
        return next(self._heights)

    def take(self, owner: NetworkOwner) -> tuple[TransportId, int, Address]:
        """A transport id, a socket and its address; the socket that was given back longest ago.

        Raises:
            RuntimeError: every socket is in use.
        """
        if not self._free:
            raise RuntimeError("the load has no socket left: it was opened for fewer peers")
        self._last += 1
        socket = self._free.popleft()
        self._owners[self._last] = owner
        return TransportId(self._last), socket, self._addresses[socket]

    def give_back(self, transport: TransportId, socket: int) -> None:
        """Forget a transport; its socket may serve another."""
        if self._owners.pop(transport, None) is not None:
            self._free.append(socket)

    async def read(self) -> Reading:
        """Read the counters; the latency starts anew."""
        stats = await self.engine.query_stats(0)
        return Reading(
            {row["transport"]: row for row in stats.transports},
            {row["track"]: row["client_asked_keyframes"] for row in stats.tracks},
            *(
                stats.worker.get(f"client_{name}_us", 0) / 1000
                for name in ("latency_p50", "latency_p99", "frame_p50", "frame_p99")
            ),
        )

    async def close(self) -> None:
        """Stop everything."""
        await self.tasks.close()
        await self.engine.close()
        self._gates.close()

    def _receive(self, event: Event) -> None:
        if isinstance(event, Stun | Dtls):
            owner = self._owners.get(event.transport)
            if owner is not None:
                owner.receive(event)
