"""A long run with people who come and go: memory stays, and nothing is left behind.

`python -m bench.soak --minutes 60`. Subscribers join and leave all the time, publishers now and then, a
recording is started and stopped; at the end everybody leaves, and the server must hold what it held at first.
"""

import argparse
import asyncio
import random
import re
import time
from collections.abc import Callable
from typing import Final

import uvloop

from bench import figures, process
from bench.crowd import Crowd
from bench.node import Node
from bench.served import Served, media_counters
from bench.soak_figures import Sample, SoakFigures, judge
from bench.target import TargetFailed

_PUBLISHERS: Final = 3
_SUBSCRIBERS: Final = 24
_SOCKETS: Final = 160
_JOINS_PER_S: Final = 4.0
_PUBLISHER_EVERY: Final = 8
"""Of so many joins one is a publisher's."""
_RECORDING_EVERY_S: Final = 10.0
_SAMPLE_EVERY_S: Final = 1.0
_LONGEST: Final = 4.0
_NOTE_EVERY: Final = 60
"""Samples."""
_SETTLES_S: Final = 12.0
_TASKS: Final = "parley_tasks"
_PEOPLE: Final = ("parley_rooms", "parley_participants", "parley_websockets")
_PLANE: Final = ("routers", "peers", "tracks", "forwards", "sinks")
_EMPTY_AFTER_S: Final = 1.0
_ROOM: Final = "room-0"


async def soak(
    seconds: float,
    note: Callable[[str], None] = lambda _words: None,
    *,
    joins_per_s: float = _JOINS_PER_S,
    least_joins: int = 0,
) -> SoakFigures:
    """Let people come and go for so long, as many a second as the machine makes of these; then all leave.

    With fewer joins than `least_joins` it goes on, for `_LONGEST` times as long at most.
    """
    found = SoakFigures(minutes=round(seconds / 60, 2))
    served = await Served.start(environment={"PARLEY_ROOMS_EMPTY_S": str(_EMPTY_AFTER_S)})
    try:
        node = await Node.open(_SOCKETS)
        try:
            await _soak(
                served, node, found, note, seconds=seconds, step_s=1 / joins_per_s, least_joins=least_joins
            )
        finally:
            await node.close()
    finally:
        await served.stop()
    return found


async def _soak(
    served: Served,
    node: Node,
    found: SoakFigures,
    note: Callable[[str], None],
    *,
    seconds: float,
    step_s: float,
    least_joins: int,
) -> None:
    began = time.monotonic()
    await _one_call(served, node)
    found.before = await _emptied(served, began)
    crowd = Crowd(node, served)
    recording: str | None = None
    try:
        for _ in range(_PUBLISHERS):
            await crowd.publish()
        for _ in range(_SUBSCRIBERS):
            await crowd.watch(others=_PUBLISHERS)
        now = time.monotonic()
        until, toggles, samples = now + seconds, now + _RECORDING_EVERY_S, now + _SAMPLE_EVERY_S
        latest = now + seconds * _LONGEST
        while (due := time.monotonic()) < until or (found.joins < least_joins and due < latest):
            await _change(crowd, found)
            if due >= toggles:
                toggles += _RECORDING_EVERY_S
                recording = await _toggle(served, recording, found)
            if due >= samples:
                samples += _SAMPLE_EVERY_S
                found.samples.append(await _sample(served, began))
                if len(found.samples) % _NOTE_EVERY == 0:
                    note(f"{time.monotonic() - began:.0f} s, {found.samples[-1].rss_kib:.0f} KiB")
            await asyncio.sleep(max(due + step_s - time.monotonic(), 0))
        found.minutes = round((time.monotonic() - now) / 60, 2)
        if recording is not None:
            await _toggle(served, recording, found)
        received = await crowd.read()
        found.packets, found.keyframe_requests = received.packets, received.keyframe_requests
    finally:
        await crowd.leave()
    found.after = await _emptied(served, began)
    metrics = await served.metrics()
    counters = media_counters(metrics)
    held = {name: _gauge(metrics, name) for name in _PEOPLE}
    held |= {f"plane.{name}": counters[f"plane.{name}"] for name in _PLANE}
    found.left_behind = {name: count for name, count in held.items() if count}


async def _change(crowd: Crowd, found: SoakFigures) -> None:
    """A subscriber is replaced; now and then a publisher, before that one is gone."""
    if (found.joins + 1) % _PUBLISHER_EVERY == 0:
        await crowd.publish(_ROOM)
        await crowd.remove(crowd.publishers[0])
    else:
        await crowd.remove(random.choice(crowd.subscribers))
        await crowd.watch(_ROOM, others=_PUBLISHERS)
    found.joins += 1
    found.leaves += 1


async def _toggle(served: Served, recording: str | None, found: SoakFigures) -> str | None:
    if recording is not None:
        await served.api("POST", f"/recordings/{recording}/stop")
        return None
    found.recordings += 1
    made = await served.api("POST", "/recordings", {"room": _ROOM})
    return str(made["id"])


async def _one_call(served: Served, node: Node) -> None:
    crowd = Crowd(node, served)
    try:
        await crowd.publish()
        await crowd.watch(others=1)
        recording = await served.api("POST", "/recordings", {"room": _ROOM})
        await asyncio.sleep(1.0)
        await served.api("POST", f"/recordings/{recording['id']}/stop")
    finally:
        await crowd.leave()


async def _emptied(served: Served, began: float) -> Sample:
    """Wait until the server has let go of everybody, and look at what it holds."""
    until = time.monotonic() + _SETTLES_S
    sample = await _sample(served, began)
    while time.monotonic() < until:
        await asyncio.sleep(1.0)
        before, sample = sample, await _sample(served, began)
        is_quiet = (before.tasks, before.sockets) == (sample.tasks, sample.sockets)
        if is_quiet and (await served.account()).counters["plane.routers"] == 0:
            break
    return sample


async def _sample(served: Served, began: float) -> Sample:
    holdings = process.Holdings.of(served.pid)
    tasks = _gauge(await served.metrics(), _TASKS)
    return Sample(
        round(time.monotonic() - began, 1),
        round(holdings.rss_bytes / 1024, 1),
        holdings.descriptors,
        holdings.sockets,
        holdings.threads,
        int(tasks),
    )


def _gauge(metrics: str, name: str) -> float:
    """One gauge out of a `/metrics` text.

    Raises:
        TargetFailed: the server does not tell it.
    """
    found = re.search(rf"^{name} (\S+)$", metrics, re.MULTILINE)
    if found is None:
        raise TargetFailed(f"/metrics does not tell {name}")
    return float(found[1])


def main() -> None:
    """Run, print and keep the figures."""
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    found = uvloop.run(soak(options.minutes * 60, print))
    print(found.line())
    problems = judge(found)
    figures.keep("soak", {**found.plain(), "problems": problems})
    for problem in problems:
        print(problem)
    if problems:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
