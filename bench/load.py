"""One run against a whole server: people join over its own protocol, media flows, the cost is read.

The server is a child process and only its CPU time counts; publishers and subscribers are native, here.
"""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from bench import calibration, process, steps
from bench.crowd import Crowd, Received
from bench.figures import Figures
from bench.janus import Janus
from bench.node import Node
from bench.quantiles import quantile
from bench.served import Served
from bench.target import Account, Target
from bench.wanted import Wanted

_LEAST_LOAD: Final = 0.97
_ALL_OF_IT: Final = 0.99
_ESTIMATED_WITHIN_S: Final = 60.0
_WORTH_DIVIDING: Final = 20
"""Subscribers from which on memory for each of them says something."""

ServerName = Literal["parley", "janus"]


@dataclass(frozen=True, slots=True)
class _Moment:
    received: Received
    cpu_ns: int
    worker_ns: int
    account: Account


@contextlib.asynccontextmanager
async def running(server: ServerName, wanted: Wanted) -> AsyncIterator[tuple[Target, Node]]:
    """A server under load, and the load's own half, empty.

    Raises:
        TargetFailed: the server does not come up; says why.
    """
    target: Target
    if server == "parley":
        target = await Served.start(profile=wanted.profile, workers=wanted.workers)
    else:
        target = await Janus.start(profile=wanted.profile)
    try:
        node = await Node.open(
            wanted.sockets,
            ip=target.peers_ip,
            gro=wanted.gro,
            loss=wanted.loss,
            frames_per_s=wanted.frames_per_s,
            with_twcc=wanted.with_twcc,
        )
        try:
            yield target, node
        finally:
            await node.close()
    finally:
        await target.stop()


Beside = Callable[[Target], contextlib.AbstractAsyncContextManager[None]]
"""What looks at the server while it is measured."""


def _nothing(_: Target) -> contextlib.AbstractAsyncContextManager[None]:
    return contextlib.nullcontext()


async def measure(server: ServerName, wanted: Wanted, beside: Beside = _nothing) -> Figures:
    """Run once: calibrate, fill the rooms, warm up, measure, calibrate again."""
    before_us = calibration.datagram_us(0.5)
    async with running(server, wanted) as (target, node):
        if wanted.is_pinned:
            process.pin(target.pid, worker=0, rest=1, worker_thread=target.worker_thread)
            process.pin(os.getpid(), worker=1, rest=1)
        crowd = Crowd(node, target)
        try:
            taken = await _fill(crowd, target, wanted)
            await crowd.note_joins()
            # Memory is read before subscribers stop decrypting: nothing of theirs is gone yet.
            grown = process.rss_bytes(target.pid) - taken
            await crowd.decrypt_one_in(1 if wanted.loss else wanted.check_every)
            async with beside(target):
                first, last = await _watch(crowd, target, wanted)
        finally:
            await crowd.leave()
    after_us = calibration.datagram_us(0.5)
    return _figures(wanted, crowd, (first, last), (before_us + after_us) / 2, grown)


async def _fill(crowd: Crowd, target: Target, wanted: Wanted) -> int:
    """Bring everybody in, one after another; the server's memory before those came who only watch."""
    rooms = [f"room-{number}" for number in range(wanted.rooms)]
    if wanted.mesh:
        for room in rooms:
            await crowd.mesh(wanted.mesh, room)
        return process.rss_bytes(target.pid)
    for room in rooms:
        for _ in range(wanted.publishers):
            await crowd.publish(room)
    taken = process.rss_bytes(target.pid)
    for room in rooms:
        for _ in range(wanted.subscribers):
            await crowd.watch(room, others=wanted.publishers)
    return taken


async def _watch(crowd: Crowd, target: Target, wanted: Wanted) -> tuple[_Moment, _Moment]:
    await asyncio.sleep(wanted.warm_up)
    if wanted.with_twcc:
        await _estimated(crowd, wanted)
    # The server tells its account outside the measured time: the telling is work of its own.
    account = await target.account()
    await crowd.read()  # the latency starts anew
    first = await _moment(crowd, target, account)
    until = time.monotonic() + wanted.seconds
    if wanted.churn > 0:
        await _churn(crowd, wanted, until)
    await asyncio.sleep(max(until - time.monotonic(), 0))
    last = await _moment(crowd, target, account)
    return first, replace(last, account=await target.account())


async def _estimated(crowd: Crowd, wanted: Wanted) -> None:
    """Wait until every viewer's estimate has climbed to what the cameras take, for a minute at most."""
    until = time.monotonic() + _ESTIMATED_WITHIN_S
    before = await crowd.read()
    while time.monotonic() < until:
        await asyncio.sleep(1.0)
        now = await crowd.read()
        if now.packets - before.packets >= _ALL_OF_IT * wanted.packets_per_s * (now.at - before.at):
            return
        before = now


async def _churn(crowd: Crowd, wanted: Wanted, until: float) -> None:
    """One leaves, one comes, so many times a second."""
    due = time.monotonic()
    while (now := time.monotonic()) < until:
        if now < due:
            await asyncio.sleep(due - now)
        due += 1 / wanted.churn
        await crowd.remove(random.choice(crowd.subscribers))
        await crowd.watch(others=wanted.publishers)


async def _moment(crowd: Crowd, target: Target, account: Account) -> _Moment:
    workers = {
        thread
        for thread, name in process.threads(target.pid).items()
        if name.startswith(target.worker_thread)
    }
    return _Moment(
        await crowd.read(),
        process.cpu_ns(target.pid),
        sum(process.thread_cpu_ns(thread) for thread in workers),
        account,
    )


def _figures(
    wanted: Wanted,
    crowd: Crowd,
    moments: tuple[_Moment, _Moment],
    calibration_us: float,
    grown_bytes: int,
) -> Figures:
    first, last = moments
    seconds = last.received.at - first.received.at
    packets = last.received.packets - first.received.packets
    lost = last.received.lost - first.received.lost
    cost_us = (last.cpu_ns - first.cpu_ns) / 1000 / max(packets, 1)
    before, after = first.account.counters, last.account.counters
    counters = {name: value - before.get(name, 0.0) for name, value in after.items()}
    expected = wanted.packets_per_s * seconds
    measured: dict[str, Any] = {}
    if wanted.loss:
        measured["repaired"] = last.received.repaired - first.received.repaired
    if counters:
        forwarded = [counters[f"worker{number}.rtp_forwarded"] for number in range(wanted.workers)]
        measured["worker_shares"] = tuple(round(one / max(sum(forwarded), 1), 3) for one in forwarded)
        measured["segments_per_message"] = round(
            counters["datagrams_sent"] / max(counters["messages_sent"], 1), 2
        )
        measured["lag_p99_ms"] = round(last.account.lag.since(first.account.lag).quantile(0.99) * 1000, 2)
    if wanted.watchers >= _WORTH_DIVIDING and not wanted.mesh:
        measured["kib_per_transport"] = round(grown_bytes / 1024 / wanted.watchers, 1)
    if crowd.join_ms and not wanted.mesh:
        measured["join_p50_ms"] = round(quantile(crowd.join_ms, 0.5), 2)
        measured["join_p99_ms"] = round(quantile(crowd.join_ms, 0.99), 2)
        measured["connect_p50_ms"] = round(quantile(crowd.connect_ms, 0.5), 2)
        measured["join_steps_ms"] = steps.medians_ms(crowd.join_steps)
    return Figures(
        cost_us=round(cost_us, 3),
        calibration_us=round(calibration_us, 3),
        ratio=round(cost_us / calibration_us, 3),
        packets_per_s=round(packets / seconds, 1),
        server_core=round((last.cpu_ns - first.cpu_ns) / 1e9 / seconds, 4),
        packets_per_core_s=round(1e6 / max(cost_us, 1e-9)),
        streams_per_core=round(1e6 / max(cost_us, 1e-9) / wanted.packets_per_stream_s, 1),
        lost=max(lost, 0),
        latency_p50_ms=last.received.latency_p50_ms,
        latency_p99_ms=last.received.latency_p99_ms,
        frame_p50_ms=last.received.frame_p50_ms,
        frame_p99_ms=last.received.frame_p99_ms,
        worker_core=round((last.worker_ns - first.worker_ns) / 1e9 / seconds, 4),
        drops={
            name: value
            for name, value in counters.items()
            if name.startswith("drop_") and value and "." not in name
        },
        is_void=packets < _LEAST_LOAD * expected or (lost > 0 and not (wanted.churn or wanted.loss)),
        **measured,
    )
