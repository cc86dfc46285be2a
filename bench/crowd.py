"""The people of one run: publishers and subscribers in rooms of one server, and what they received."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.line import Line
from bench.node import Node
from bench.steps import JoinSteps
from bench.target import Seat, Target


@dataclass(frozen=True, slots=True)
class Received:
    """What all subscribers together had received at one moment, those included that have left."""

    packets: int
    lost: int
    """That no repair came for either."""
    repaired: int
    keyframe_requests: int
    """That publishers were asked for."""
    latency_p50_ms: float
    latency_p99_ms: float
    frame_p50_ms: float
    frame_p99_ms: float
    at: float


class Crowd:
    """Seats taken in rooms `room-0`, `room-1`, ...; every method on the event loop's thread."""

    def __init__(self, node: Node, target: Target) -> None:
        self.publishers: list[Seat] = []
        self.subscribers: list[Seat] = []
        self.join_ms: list[float] = []
        """From a join call to the first packet, of everybody who watches."""
        self.connect_ms: list[float] = []
        """From a join call to keys in place."""
        self.join_steps: list[JoinSteps] = []
        """Of everybody who watches."""
        self._node = node
        self._target = target
        self._gone_packets = self._gone_lost = self._gone_requests = 0

    async def publish(self, room: str = "room-0") -> Seat:
        """Add somebody who only publishes."""
        seat = await self._target.seat(self._node, room, publishes=True, watches=False)
        self.publishers.append(seat)
        return seat

    async def watch(self, room: str = "room-0", *, others: int) -> Seat:
        """Add somebody who only watches."""
        seat = await self._target.seat(self._node, room, publishes=False, watches=True)
        self.subscribers.append(seat)
        await seat.watch_others(others)
        self.connect_ms.append((time.monotonic_ns() - seat.steps.called) / 1e6)
        return seat

    async def mesh(self, people: int, room: str = "room-0") -> None:
        """Fill a room with people who each publish and see all others."""
        seats = [
            await self._target.seat(self._node, room, publishes=True, watches=True) for _ in range(people)
        ]
        self.subscribers += seats
        for seat in seats:
            await seat.watch_others(people - 1)

    async def remove(self, seat: Seat) -> None:
        """Somebody leaves; what they received stays counted."""
        reading = await self._node.read()
        for line in (seat.watching, seat.publishing):
            row = reading.transports.get(line.transport, {}) if line is not None else {}
            if line is seat.watching:
                self._gone_packets += row.get("client_received", 0)
                self._gone_lost += max(row.get("client_lost", 0), 0)
            self._gone_requests += row.get("client_asked_keyframes", 0)
        for group in (self.publishers, self.subscribers):
            if seat in group:
                group.remove(seat)
        await seat.leave()

    async def note_joins(self, patience_s: float = 3.0) -> None:
        """Wait for everybody's first packet and note how long each had to wait for it."""
        waiting = {seat.watching.transport: seat for seat in self.subscribers if seat.watching is not None}
        until = time.monotonic() + patience_s
        while True:
            rows = (await self._node.read()).transports
            first = {transport: rows[transport]["client_first_ns"] for transport in waiting}
            if all(first.values()) or time.monotonic() > until:
                break
            await asyncio.sleep(0.05)
        for transport, seat in waiting.items():
            seat.steps.first = first[transport]
        self.join_steps = [seat.steps for seat in waiting.values()]
        self.join_ms = [
            (first[transport] - seat.steps.called) / 1e6
            for transport, seat in waiting.items()
            if first[transport]
        ]

    async def decrypt_one_in(self, every: int) -> None:
        """Leave decryption, and the figures that need it, to one subscriber in so many."""
        lines = [seat.watching for seat in self.subscribers if seat.watching is not None]
        for index, line in enumerate(lines):
            if index % every:
                await line.stop_decrypting()

    async def read(self) -> Received:
        """Read all counters; the latency starts anew."""
        reading = await self._node.read()

        def total(seats: Sequence[Seat], end: Callable[[Seat], Line | None], name: str) -> int:
            lines = (end(seat) for seat in seats)
            rows = (reading.transports.get(line.transport, {}) for line in lines if line is not None)
            return sum(max(row.get(name, 0), 0) for row in rows)

        everybody = self.publishers + self.subscribers
        return Received(
            packets=self._gone_packets + total(everybody, _watching, "client_received"),
            lost=self._gone_lost + total(everybody, _watching, "client_lost"),
            repaired=total(everybody, _watching, "client_repaired"),
            keyframe_requests=self._gone_requests + total(everybody, _publishing, "client_asked_keyframes"),
            latency_p50_ms=reading.latency_p50_ms,
            latency_p99_ms=reading.latency_p99_ms,
            frame_p50_ms=reading.frame_p50_ms,
            frame_p99_ms=reading.frame_p99_ms,
            at=time.monotonic(),
        )

    async def keyframe_requests(self) -> dict[int, int]:
        """How many keyframes publishers were asked for, by the SSRC of each encoding."""
        return (await self._node.read()).keyframe_requests

    async def leave(self) -> None:
        """Everybody goes."""
        for seat in [*self.subscribers, *self.publishers]:
            await seat.leave()


def _watching(seat: Seat) -> Line | None:
    return seat.watching


def _publishing(seat: Seat) -> Line | None:
    return seat.publishing
