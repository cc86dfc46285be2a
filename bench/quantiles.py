"""Few numbers out of many: medians, quantiles, histograms, slopes. PURE."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

_BUCKET = re.compile(r'^(?P<name>\w+)_bucket\{le="(?P<le>[^"]+)"\} (?P<count>\S+)$', re.MULTILINE)
_DRAWN_TOGETHER = 240


def quantile(values: Sequence[float], q: float) -> float:
    """The value that a share `q` (0 to 1) of all lies at or below, between neighbours by line; 0 of none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    """The middle one; 0 of none."""
    return quantile(values, 0.5)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """How much y grows for each x: the median over all pairs; 0 where that says nothing.

    No outlier moves it. Many points are first drawn together to `_DRAWN_TOGETHER` medians.
    Source: Theil 1950, Sen 1968.
    """
    size = max(math.ceil(len(points) / _DRAWN_TOGETHER), 1)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    drawn = [(median([x for x, _ in group]), median([y for _, y in group])) for group in groups]
    pairs = itertools.combinations(drawn, 2)
    return median(
        [(y - before_y) / (x - before_x) for (before_x, before_y), (x, y) in pairs if x != before_x]
    )


@dataclass(frozen=True, slots=True)
class Histogram:
    """A Prometheus histogram at one moment: observations at or below each bound."""

    counts: Mapping[float, float]

    @classmethod
    def parse(cls, text: str, name: str) -> Self:
        """The histogram `name` of a `/metrics` text; empty when it is not there."""
        found = (match for match in _BUCKET.finditer(text) if match["name"] == name)
        return cls({float(match["le"]): float(match["count"]) for match in found})

    def since(self, earlier: Self) -> "Histogram":
        """What was observed after `earlier`."""
        return Histogram(
            {bound: count - earlier.counts.get(bound, 0.0) for bound, count in self.counts.items()}
        )

    def quantile(self, q: float) -> float:
        """By line within the bucket; the last finite bound for what lies above it; 0 of nothing."""
        bounds = sorted(self.counts)
        total = self.counts[bounds[-1]] if bounds else 0.0
        if total <= 0:
            return 0.0
        before = low = 0.0
        for bound in bounds:
            count = self.counts[bound]
            if count >= q * total:
                if bound == float("inf"):
                    return low
                return low + (bound - low) * (q * total - before) / max(count - before, 1e-9)
            before, low = count, bound
        return low
