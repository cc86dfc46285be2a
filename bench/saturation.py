"""How much one full core carries: more and more streams until latency says that it is enough.

The worker runs on core 0, everything else on core 1; receivers take trains whole, one stream in twenty is
decrypted and checked. The bare relay climbs the same ladder: the machine's limit.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench.figures import Figures
from bench.wanted import Wanted

MAX_P99_MS: Final = 20.0
RUNGS: Final = ((1, 500), (2, 500), (3, 400), (3, 500), (4, 450), (4, 500), (5, 500), (6, 500))
"""(publishers, subscribers) of each step, rising in streams."""
_FAILURES_IN_A_ROW: Final = 2


@dataclass(frozen=True, slots=True)
class Step:
    """One rung and what it gave."""

    streams: int
    figures: Figures

    @property
    def is_carried(self) -> bool:
        """Whether everything arrived, and in time."""
        return not self.figures.is_void and self.figures.latency_p99_ms <= MAX_P99_MS


async def climb(
    measure: Callable[[Wanted], Awaitable[Figures]],
    wanted: Wanted,
    rungs: Iterable[tuple[int, int]] = RUNGS,
    note: Callable[[Step], None] = lambda _step: None,
) -> list[Step]:
    """Measure rung after rung until two in a row are not carried."""
    steps: list[Step] = []
    failures = 0
    for publishers, subscribers in rungs:
        shape = replace(wanted, publishers=publishers, subscribers=subscribers, is_pinned=True)
        step = Step(shape.streams, await measure(shape))
        steps.append(step)
        note(step)
        failures = 0 if step.is_carried else failures + 1
        if failures == _FAILURES_IN_A_ROW:
            break
    return steps


def carried(steps: Sequence[Step]) -> Step | None:
    """The highest rung that was carried."""
    good = [step for step in steps if step.is_carried]
    return max(good, key=lambda step: step.figures.packets_per_s) if good else None
