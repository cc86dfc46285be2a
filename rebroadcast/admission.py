"""Whether there is CPU time for one more program, encoding or rendition, so that live rooms never pay. PURE.

What live rooms use is measured, and so is each program that has run for a while; a reserve stays free. What
is to begin is estimated from what runs, in proportion to the pixels of all its encodings.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from media.cpu_use import CpuUse, Machine
from rebroadcast.errors import BroadcastTooDear
from rebroadcast.types import RebroadcastConfig
from rebroadcast.worker.messages import Encoding

RETRY_S: Final = 30.0
_UNIT_PIXELS: Final = 1280 * 720 * 30
_COMPOSING: Final = 0.25
"""Cores that composing a unit is taken to need before anything was measured; so are those below."""
_RENDITION: Final = 0.5
"""Cores that are left before a rendition begins."""
_CHEAPEST: Final = 0.5
"""What programs are taken to need at least of what they are expected to: one may show a slate just now."""
_ENCODING: Final = {"h264": 0.35, "vp8": 0.45}


@dataclass(frozen=True, slots=True)
class Running:
    """One program that runs or begins."""

    expected: float
    """Cores, see `expected_cores`."""
    measured: float | None = None
    """Cores; None until it has run for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the machine has, and what goes on there."""

    cores: float
    """What the server may use, all of its processes."""
    reserve: float
    """Cores that are kept free."""
    most: float | None
    """Cores that all programs may take together, whatever is free; None: what is free."""
    live: float
    """Cores that rooms, recordings and passthrough use, as measured."""
    running: Sequence[Running] = ()

    @property
    def used(self) -> float:
        """Cores of the programs; one that was not measured yet counts by what the others take."""
        return sum(
            one.expected * self.dearness if one.measured is None else one.measured for one in self.running
        )

    @property
    def dearness(self) -> float:
        """What programs take for what they are expected to take: that of the dearest."""
        known = [
            one.measured / one.expected for one in self.running if one.measured is not None and one.expected
        ]
        return max(_CHEAPEST, *known) if known else 1.0

    @property
    def whole(self) -> float:
        """Cores that programs may take while nothing else goes on."""
        return _least(self.most, self.cores - self.reserve)

    @property
    def left(self) -> float:
        """Cores that one more may take; below zero when there are too few for what runs."""
        return _least(self.most, self.cores - self.reserve - self.live) - self.used

    def figures(self) -> str:
        """What is used, in words."""
        allowed = "" if self.most is None else f" and broadcast.cores allows {self.most:.1f}"
        return (
            f"of {self.cores:.1f} cores live rooms use {self.live:.1f}, {len(self.running)} programs need "
            f"{self.used:.1f}, {self.reserve:.1f} stay free{allowed}"
        )


def expected_cores(encodings: Collection[Encoding]) -> float:
    """What a program is taken to need: one composition at the largest, and each encoding of it."""
    units = [(one.codec, one.width * one.height * one.fps / _UNIT_PIXELS) for one in encodings]
    composing = _COMPOSING * max((size for _, size in units), default=0.0)
    return composing + sum(_ENCODING[codec] * size for codec, size in units)


def admit(load: Load, wanted: float, *, what: str = "one more") -> None:
    """Lets something begin that is taken to need `wanted` cores, in proportion to the dearest that runs.

    A first program lowers its rate to what there is, so half of what programs may take is enough for it.

    Raises:
        BroadcastTooDear: it would be paid for by live rooms, or by the programs that run.
    """
    needed = wanted * load.dearness
    if not load.running:
        needed = min(needed, load.whole / 2)
    if needed > load.left:
        raise BroadcastTooDear(
            f"{load.figures()}: {what} needs about {needed:.2f} and {max(load.left, 0.0):.2f} are left. "
            "Stop a program, use passthrough or smaller encodings, try again when rooms are calmer, or set "
            "broadcast.cores and broadcast.reserve otherwise",
            RETRY_S,
        )


def lack(load: Load, *, has_begun: bool = False) -> str | None:
    """Why there is no CPU time for a rendition, which takes what nobody else wants; None when there is.

    One that has begun goes on for as long as there is any.
    """
    needed = 0.0 if has_begun else min(_RENDITION, load.whole / 2)
    return None if needed <= load.left else f"there is no CPU time for it: {load.figures()}"


def load_of(
    machine: Machine,
    config: RebroadcastConfig,
    programs: Iterable[tuple[int | None, Collection[Encoding]]],
    starting: Iterable[float],
) -> Load:
    """What goes on: programs with their process and what they encode, and what starting ones will need."""
    uses = dict(machine.uses())
    running = [
        Running(expected_cores(encodings), _measured(uses, process)) for process, encodings in programs
    ]
    return Load(
        cores=machine.cores,
        reserve=config.reserve * machine.cores,
        most=config.cores or None,
        live=sum(use.cores for use in uses.values()),
        running=[*running, *(Running(cores) for cores in starting)],
    )


def _measured(uses: dict[int, CpuUse], process: int | None) -> float | None:
    """What a program's process uses, which is no live use then; None when that cannot be told yet."""
    use = None if process is None else uses.pop(process, None)
    return use.cores if use is not None and use.is_settled else None


def _least(most: float | None, cores: float) -> float:
    return cores if most is None else min(most, cores)
