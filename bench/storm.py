"""A join storm: very many people come into one room at once, over the server's own protocol."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from bench import calibration, plan, process
from bench.crowd import Crowd
from bench.line import LineLost
from bench.node import Node
from bench.quantiles import quantile
from bench.rpc import CallRefused
from bench.served import Served
from bench.steps import JoinSteps

_SPARE_SOCKETS: Final = 8
_PARTS: Final = 10

KEYFRAMES_A_SECOND: Final = 2
"""That a publisher is asked for at most, beside the first."""
LAG_MS: Final = 50
"""The event loop's, 99 times of 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some of a storm's joins, one after another."""

    people: int
    """Who had come before the first of them."""
    join_p50_ms: float
    join_max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StormFigures:
    """What a storm cost, and whether everybody came in."""

    joins: int
    seconds: float
    connected: int
    """Of `joins`: who received and decrypted media."""
    failures: tuple[str, ...]
    join_p50_ms: float
    join_p99_ms: float
    connect_p50_ms: float
    connect_p99_ms: float
    took_s: float
    """Until everybody had media."""
    keyframe_requests: float
    """That a publisher was asked for in that time, of the encoding that was asked for most."""
    lag_p50_ms: float
    lag_p99_ms: float
    kib_per_transport: float
    server_core: float
    calibration_us: float
    parts: tuple[Part, ...]
    """The joins in their order, in tenths."""
    encodings: tuple[str, ...] = ()
    """Names of the encodings of each camera; empty: one without a name."""
    encoding_requests: tuple[float, ...] = ()
    """Keyframes that were asked for of each encoding, on average over the publishers."""

    def problems(self) -> list[str]:
        """What is not as promised, in words."""
        wrong = list(self.failures[:5]) if self.connected < self.joins else []
        if self.keyframe_requests > KEYFRAMES_A_SECOND * self.took_s + 1:
            wrong.append(f"{self.keyframe_requests:.0f} keyframe requests in {self.took_s:.1f} s")
        if self.lag_p99_ms > LAG_MS:
            wrong.append(f"the event loop lagged by {self.lag_p99_ms:.1f} ms at p99")
        return wrong

    def line(self) -> str:
        """In one line."""
        return (
            f"{self.connected} of {self.joins} in within {self.seconds:g} s: "
            f"join p50 {self.join_p50_ms:.0f} p99 {self.join_p99_ms:.0f} ms, "
            f"keys p50 {self.connect_p50_ms:.0f} p99 {self.connect_p99_ms:.0f} ms, "
            f"{self.keyframe_requests / self.took_s:.2f} keyframe requests/s{self._each()}, "
            f"loop lag p50 {self.lag_p50_ms:.1f} p99 {self.lag_p99_ms:.1f} ms, "
            f"{self.kib_per_transport:.0f} KiB a transport, {self.server_core:.2f} core, "
            f"bare datagram {self.calibration_us:.2f} us"
        )

    def _each(self) -> str:
        """Of which encoding how many."""
        pairs = zip(self.encodings, self.encoding_requests, strict=False)
        told = ", ".join(f"{rid} {requests / self.took_s:.2f}" for rid, requests in pairs)
        return f" ({told})" if told else ""


async def storm(
    *, joins: int, seconds: float, publishers: int = 1, workers: int = 1, is_simulcast: bool = False
) -> StormFigures:
    """Let `joins` people come within `seconds`, at even distances, whether earlier ones are in or not.

    `is_simulcast`: cameras are sent in three encodings, and people ask for the size of each by turns.
    """
    calibration_us = calibration.datagram_us(0.5)
    served = await Served.start(workers=workers)
    try:
        encodings = plan.SIMULCAST if is_simulcast else plan.ONE_SIZE
        node = await Node.open(joins + publishers + _SPARE_SOCKETS, encodings=encodings)
        try:
            return await _storm(served, node, joins, seconds, publishers, calibration_us)
        finally:
            await node.close()
    finally:
        await served.stop()


async def _storm(
    served: Served, node: Node, joins: int, seconds: float, publishers: int, calibration_us: float
) -> StormFigures:
    crowd = Crowd(node, served)
    failures: list[str] = []

    async def come(number: int) -> None:
        await asyncio.sleep(number * seconds / joins)
        try:
            await crowd.watch(others=publishers)
        except (LineLost, CallRefused, TimeoutError, OSError) as error:
            failures.append(str(error) or type(error).__name__)

    try:
        for _ in range(publishers):
            await crowd.publish()
        await asyncio.sleep(1.0)
        before = await crowd.keyframe_requests()
        lag, began = (await served.account()).lag, time.monotonic()
        cpu_ns, rss = process.cpu_ns(served.pid), process.rss_bytes(served.pid)
        async with asyncio.TaskGroup() as group:
            for number in range(joins):
                group.create_task(come(number))
        await crowd.note_joins()
        took = time.monotonic() - began
        after = await crowd.keyframe_requests()
        lag = (await served.account()).lag.since(lag)
        used = process.cpu_ns(served.pid) - cpu_ns
        grown = process.rss_bytes(served.pid) - rss
        return StormFigures(
            joins=joins,
            seconds=seconds,
            connected=len(crowd.join_ms),
            failures=tuple(sorted(set(failures))),
            join_p50_ms=round(quantile(crowd.join_ms, 0.5), 2),
            join_p99_ms=round(quantile(crowd.join_ms, 0.99), 2),
            connect_p50_ms=round(quantile(crowd.connect_ms, 0.5), 2),
            connect_p99_ms=round(quantile(crowd.connect_ms, 0.99), 2),
            took_s=round(took, 2),
            keyframe_requests=max(count - before[ssrc] for ssrc, count in after.items()),
            lag_p50_ms=round(lag.quantile(0.5) * 1000, 2),
            lag_p99_ms=round(lag.quantile(0.99) * 1000, 2),
            kib_per_transport=round(grown / 1024 / joins, 1),
            server_core=round(used / 1e9 / took, 3),
            calibration_us=round(calibration_us, 3),
            parts=in_parts(crowd.join_steps),
            encodings=tuple(encoding.rid for encoding in node.encodings if encoding.rid),
            encoding_requests=_by_encoding(crowd, node, before, after),
        )
    finally:
        await crowd.leave()


def _by_encoding(
    crowd: Crowd, node: Node, before: Mapping[int, int], after: Mapping[int, int]
) -> tuple[float, ...]:
    """Keyframes that were asked for of each encoding, on average over the publishers."""
    videos = [plan.video_ssrc(seat.publishing.transport) for seat in crowd.publishers if seat.publishing]
    places = [[plan.encoding_ssrc(video, place) for video in videos] for place in range(len(node.encodings))]
    return tuple(sum(after[ssrc] - before[ssrc] for ssrc in ssrcs) / len(ssrcs) for ssrcs in places)


def in_parts(joins: Sequence[JoinSteps], count: int = _PARTS) -> tuple[Part, ...]:
    """What the joins that came to their first packet took, in the order of their calls. PURE."""
    ordered = sorted((join for join in joins if join.is_whole), key=lambda join: join.called)
    bounds = [len(ordered) * number // count for number in range(count + 1)]
    return tuple(_part(start, ordered[start:end]) for start, end in pairwise(bounds) if end > start)


def _part(people: int, joins: Sequence[JoinSteps]) -> Part:
    first_ms = [(join.first - join.called) / 1e6 for join in joins]
    return Part(
        people=people,
        join_p50_ms=round(quantile(first_ms, 0.5), 2),
        join_max_ms=round(max(first_ms), 2),
    )
