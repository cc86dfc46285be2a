"""A long run with people who come and go: memory stays, and nothing is left behind.

`python -m bench.soak --minutes 60`. Subscribers join and leave all the time, publishers now and then, a
recording is started and stopped; at the end everybody leaves, and the server must hold what it held at first.
"""

import argparse
import asyncio
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import uvloop

from bench import figures, process
from bench.crowd import Crowd
from bench.node import Node
from bench.quantiles import median, slope
from bench.served import Served

_PUBLISHERS: Final = 3
_SUBSCRIBERS: Final = 24
_SOCKETS: Final = 160
_STEP_S: Final = 0.25
_PUBLISHER_EVERY: Final = 8
"""Steps between two changes of publishers."""
_RECORDING_EVERY: Final = 40
_SAMPLE_EVERY: Final = 4
_SETTLES_S: Final = 12.0
_TASKS: Final = re.compile(r"^parley_tasks (\S+)$", re.MULTILINE)
_EMPTY_AFTER_S: Final = 1.0
_ROOM: Final = "room-0"


@dataclass(frozen=True, slots=True)
class Sample:
    """The server at one moment."""

    at_s: float
    rss_kib: float
    descriptors: int
    sockets: int
    threads: int
    tasks: int


@dataclass(slots=True)
class SoakFigures:
    """What a soak saw.

    Attributes:
        before, after: with nobody there, at the beginning (after one call, so that everything is loaded) and
            at the end.
        growth_kib: resident memory of the last third above that of the second, medians; people as many.
        slope_kib_per_min: by least squares over both.
    """

    minutes: float
    joins: int = 0
    leaves: int = 0
    recordings: int = 0
    packets: int = 0
    keyframe_requests: int = 0
    samples: list[Sample] = field(default_factory=list)
    before: Sample | None = None
    after: Sample | None = None
    left_behind: dict[str, float] = field(default_factory=dict)
    """The media plane's own account with nobody there: what is not 0 was left behind."""

    @property
    def growth_kib(self) -> float:
        """See the class."""
        second, last = self._thirds()
        return round(median([s.rss_kib for s in last]) - median([s.rss_kib for s in second]), 1)

    @property
    def slope_kib_per_min(self) -> float:
        """See the class."""
        second, last = self._thirds()
        return round(slope([(s.at_s / 60, s.rss_kib) for s in [*second, *last]]), 1)

    def _thirds(self) -> tuple[Sequence[Sample], Sequence[Sample]]:
        third = max(len(self.samples) // 3, 1)
        return self.samples[third : 2 * third], self.samples[2 * third :]

    def line(self) -> str:
        """In one line."""
        per_join = self.growth_kib / max(self.joins / 3, 1)
        return (
            f"{self.minutes:g} min, {self.joins} joins, {self.leaves} leaves, {self.recordings} recordings, "
            f"{self.packets} packets: memory {self.growth_kib:+.0f} KiB from the second third to the last "
            f"({per_join:+.2f} a join), {self.slope_kib_per_min:+.1f} KiB/min; left behind: "
            f"{self.left_behind or 'nothing'}"
        )

    def plain(self) -> dict[str, Any]:
        """As what `json` takes."""
        return {
            **asdict(self),
            "growth_kib": self.growth_kib,
            "slope_kib_per_min": self.slope_kib_per_min,
        }


async def soak(seconds: float, note: Callable[[str], None] = lambda _words: None) -> SoakFigures:
    """Let people come and go for so long, then everybody leave."""
    found = SoakFigures(minutes=round(seconds / 60, 2))
    served = await Served.start(environment={"PARLEY_ROOMS_EMPTY_S": str(_EMPTY_AFTER_S)})
    try:
        node = await Node.open(_SOCKETS)
        try:
            await _soak(served, node, seconds, found, note)
        finally:
            await node.close()
    finally:
        await served.stop()
    return found


async def _soak(
    served: Served, node: Node, seconds: float, found: SoakFigures, note: Callable[[str], None]
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
        step = 0
        until = time.monotonic() + seconds
        while (due := time.monotonic()) < until:
            step += 1
            await _change(crowd, found, step)
            if step % _RECORDING_EVERY == 0:
                recording = await _toggle(served, recording, found)
            if step % _SAMPLE_EVERY == 0:
                found.samples.append(await _sample(served, began))
            if step % (60 * _SAMPLE_EVERY) == 0:
                note(f"{time.monotonic() - began:.0f} s, {found.samples[-1].rss_kib:.0f} KiB")
            await asyncio.sleep(max(due + _STEP_S - time.monotonic(), 0))
        if recording is not None:
            await _toggle(served, recording, found)
        received = await crowd.read()
        found.packets, found.keyframe_requests = received.packets, received.keyframe_requests
    finally:
        await crowd.leave()
    found.after = await _emptied(served, began)
    counters = (await served.account()).counters
    names = ("peers", "tracks", "forwards", "sinks")
    found.left_behind = {name: counters[f"plane.{name}"] for name in names if counters[f"plane.{name}"]}


async def _change(crowd: Crowd, found: SoakFigures, step: int) -> None:
    """A subscriber is replaced; now and then a publisher, before that one is gone."""
    if step % _PUBLISHER_EVERY == 0:
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
    found = _TASKS.search(await served.metrics())
    return Sample(
        round(time.monotonic() - began, 1),
        round(holdings.rss_bytes / 1024, 1),
        holdings.descriptors,
        holdings.sockets,
        holdings.threads,
        int(float(found[1])) if found else -1,
    )


def main() -> None:
    """Run, print and keep the figures."""
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    found = uvloop.run(soak(options.minutes * 60, print))
    print(found.line())
    figures.keep("soak", found.plain())


if __name__ == "__main__":
    main()
