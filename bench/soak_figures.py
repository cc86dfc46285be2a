"""What a soak saw of its server, and the judgement of it. PURE."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bench.quantiles import slope

_SHOWN: Final = 300
"""Samples in what is written and drawn."""
_LEAST_SAMPLES: Final = 9
_SETTLED_BY: Final = 350
"""Joins by which what is filled once, the pools of the allocators above all, is full."""


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
        samples: with people there, as many all the time.
        before, after: with nobody there, at the beginning (after one call, so that everything is loaded) and
            at the end.
        left_behind: what the server's own gauges still count with nobody there.
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

    @property
    def kib_per_min(self) -> float:
        """How resident memory grew once it had settled."""
        return slope([(sample.at_s / 60, sample.rss_kib) for sample in self._judged()])

    @property
    def kib_per_join(self) -> float:
        """The same for each person who came; 0 when nobody did."""
        return self.kib_per_min * self.minutes / self.joins if self.joins else 0.0

    def line(self) -> str:
        """In one line."""
        return (
            f"{self.minutes:g} min, {self.joins} joins, {self.leaves} leaves, {self.recordings} recordings, "
            f"{self.packets} packets: memory once settled {self.kib_per_min:+.1f} KiB a minute, "
            f"{self.kib_per_join:+.2f} a join; left behind: {self.left_behind or 'nothing'}"
        )

    def shown(self) -> Sequence[Sample]:
        """Of very many samples some, at even distances."""
        return self.samples[:: max(-(-len(self.samples) // _SHOWN), 1)]

    def plain(self) -> dict[str, Any]:
        """As what `json` takes."""
        return {
            **asdict(self),
            "samples": [asdict(sample) for sample in self.shown()],
            "kib_per_min": round(self.kib_per_min, 2),
            "kib_per_join": round(self.kib_per_join, 3),
        }

    @property
    def judged(self) -> float:
        """Which part of the run counts: the last two thirds, less while it settles, a third at least."""
        return 1 - min(max(_SETTLED_BY / max(self.joins, 1), 1 / 3), 2 / 3)

    def _judged(self) -> Sequence[Sample]:
        return self.samples[int(len(self.samples) * (1 - self.judged)) :]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much resident memory may grow once it has settled.

    Attributes:
        kib_per_join: a person who stays behind costs about 90, the smallest object of Python 0.05.
        kib_per_min: for what grows with time and not with people.
        settling_kib: what is filled once, and is still being filled at the end of a run of fewer than
            `settling_joins`.
        settled_kib: what may still be filled then: SQLite's page cache (2 MiB in all).
    """

    kib_per_join: float = 0.25
    kib_per_min: float = 60.0
    settling_kib: float = 4096.0
    settling_joins: int = 500
    settled_kib: float = 2048.0

    def of_joins(self, found: SoakFigures) -> float:
        """KiB for each join of a run."""
        return self.kib_per_join + self._once_kib(found) / (max(found.joins, 1) * found.judged)

    def of_minutes(self, found: SoakFigures) -> float:
        """KiB for each minute of a run."""
        return self.kib_per_min + self._once_kib(found) / (found.minutes * found.judged)

    def _once_kib(self, found: SoakFigures) -> float:
        return self.settling_kib if found.joins < self.settling_joins else self.settled_kib


def judge(found: SoakFigures, limits: Limits = Limits()) -> tuple[str, ...]:
    """What is wrong, a line for each; empty when all is well."""
    return (*_memory(found, limits), *_holdings(found), *_rest(found))


def _memory(found: SoakFigures, limits: Limits) -> Iterator[str]:
    if len(found.samples) < _LEAST_SAMPLES or not found.joins:
        yield f"memory cannot be judged: {len(found.samples)} samples, {found.joins} joins"
        return
    for grown, limit, what in (
        (found.kib_per_join, limits.of_joins(found), "join"),
        (found.kib_per_min, limits.of_minutes(found), "minute"),
    ):
        if grown > limit:
            yield f"memory grows by {grown:.2f} KiB a {what}: at most {limit:.2f} in a run of this length"


def _holdings(found: SoakFigures) -> Iterator[str]:
    if found.before is None or found.after is None:
        yield "the empty server was not looked at before and after"
        return
    for name in ("tasks", "sockets", "descriptors", "threads"):
        before, after = getattr(found.before, name), getattr(found.after, name)
        if before != after:
            yield f"{name}: {before} with nobody there at the beginning, {after} at the end"


def _rest(found: SoakFigures) -> Iterator[str]:
    for name, count in found.left_behind.items():
        yield f"{name}: {count:g} left behind with nobody there"
