"""The same load on two servers, turn by turn in one run: what each costs, and the ratio of the two."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from bench import figures
from bench.figures import Figures
from bench.wanted import Wanted


@dataclass(frozen=True, slots=True)
class Pair:
    """One shape on both servers: all runs of each, in the order in which they were made."""

    shape: str
    streams: int
    profile: str
    ours: Sequence[Figures]
    theirs: Sequence[Figures]

    @property
    def ratio(self) -> float:
        """Our median cost as a share of theirs."""
        return figures.median_cost_us(self.ours) / figures.median_cost_us(self.theirs)

    @property
    def added_p99_ms(self) -> float:
        """How much our median p99 latency lies above theirs; below 0: ours is shorter."""
        return figures.median_p99_ms(self.ours) - figures.median_p99_ms(self.theirs)

    def line(self, name: str) -> str:
        """In one line."""
        ours, theirs = figures.middle(self.ours), figures.middle(self.theirs)
        return (
            f"{self.shape} {self.profile}: "
            f"parley {figures.median_cost_us(self.ours):.2f} us ({ours.ratio:.2f} of a bare datagram), "
            f"{name} {figures.median_cost_us(self.theirs):.2f} us ({theirs.ratio:.2f}); "
            f"{self.ratio:.2f} of it; "
            f"p99 {ours.latency_p99_ms:.1f} and {theirs.latency_p99_ms:.1f} ms"
            + (" VOID" if ours.is_void or theirs.is_void else "")
        )

    @classmethod
    def from_plain(cls, told: Mapping[str, Any]) -> Self:
        """The inverse of `plain`."""
        return cls(
            told["shape"],
            told["streams"],
            told["profile"],
            [figures.from_plain(run) for run in told["ours"]],
            [figures.from_plain(run) for run in told["theirs"]],
        )

    def plain(self) -> dict[str, Any]:
        """As what `json` takes."""
        return {
            "shape": self.shape,
            "streams": self.streams,
            "profile": self.profile,
            "ratio": round(self.ratio, 3),
            "ours": [figures.plain(run) for run in self.ours],
            "theirs": [figures.plain(run) for run in self.theirs],
        }


def merged(known: Sequence[Pair], new: Sequence[Pair]) -> list[Pair]:
    """A table measured in pieces: the new pairs, and the known ones of other shapes and profiles."""
    taken = {(pair.shape, pair.profile) for pair in new}
    return [*(pair for pair in known if (pair.shape, pair.profile) not in taken), *new]


async def in_turn(
    ours: Callable[[Wanted], Awaitable[Figures]],
    theirs: Callable[[Wanted], Awaitable[Figures]],
    wanted: Wanted,
    runs: int,
    note: Callable[[str, Figures], None] = lambda _name, _run: None,
) -> Pair:
    """So many runs of each, ours first, each after the other's: a spell of the machine hits both."""
    mine: list[Figures] = []
    others: list[Figures] = []
    for _ in range(runs):
        for name, measure, found in (("parley", ours, mine), ("other", theirs, others)):
            run = await measure(wanted)
            found.append(run)
            note(name, run)
    return Pair(wanted.shape(), wanted.streams, wanted.profile, mine, others)


def called(known: str, command: str) -> str:
    """The commands that a table in pieces was made by, in one line, each once."""
    return " && ".join(dict.fromkeys([*known.split(" && "), command]))
