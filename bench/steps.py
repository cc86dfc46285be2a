"""What a join consists of: how long each of its steps took. PURE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Final

NAMES: Final = {
    "answered": "call answered",
    "offered": "offer",
    "replied": "offer answered",
    "checked": "check",
    "agreed": "DTLS",
    "keyed": "keys in place",
    "first": "first packet",
}
"""What ends each step, in order, and how people call it."""


@dataclass(slots=True, kw_only=True)
class JoinSteps:
    """When each step of one join was done, in nanoseconds of the monotonic clock; 0: not yet."""

    called: int = 0
    answered: int = 0
    offered: int = 0
    replied: int = 0
    checked: int = 0
    agreed: int = 0
    keyed: int = 0
    first: int = 0
    """The first packet decrypted."""

    @property
    def is_whole(self) -> bool:
        """Whether every step was taken."""
        return all(getattr(self, field.name) for field in fields(self))

    def durations_ms(self) -> dict[str, float]:
        """How long each step took; one that was done before the one before it took no time."""
        found: dict[str, float] = {}
        reached = self.called
        for name in NAMES:
            done = max(getattr(self, name), reached)
            found[name] = (done - reached) / 1e6
            reached = done
        return found


def medians_ms(joins: Sequence[JoinSteps]) -> dict[str, float]:
    """The median of each step over the joins that were done; empty when none was."""
    whole = [join.durations_ms() for join in joins if join.is_whole]
    return {name: round(median(row[name] for row in whole), 2) for name in NAMES} if whole else {}


def told(steps: Mapping[str, float]) -> str:
    """The medians in words."""
    return ", ".join(f"{NAMES[name]} {ms:.1f}" for name, ms in steps.items())
