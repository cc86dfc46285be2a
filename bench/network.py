"""What viewers behind bad networks saw, as the tests in `tests/net` keep it. PURE."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from bench.quantiles import quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A short time on the way down to a viewer.

    Attributes:
        at_s: its end, from the beginning of the time line.
        link_bps: what the link lets through; None: everything.
        link_bytes: what passed the link, IP headers included.
        seen_bytes: the same by the browser's own count.
        queued_ms: how long each packet waited in the link's queue.
    """

    at_s: float
    seconds: float
    link_bps: float | None
    link_bytes: int
    seen_bytes: int
    queued_ms: tuple[float, ...]

    def plain(self) -> dict[str, Any]:
        """As what `json` takes: rates, and quantiles in place of every packet."""
        return {
            "at_s": round(self.at_s, 2),
            "link_bps": self.link_bps,
            "passed_bps": round(self.link_bytes * 8 / self.seconds),
            "seen_bps": round(self.seen_bytes * 8 / self.seconds),
            "queued_p50_ms": round(self.queued(0.5), 1),
            "queued_p95_ms": round(self.queued(0.95), 1),
            "queued_max_ms": round(self.queued(1.0), 1),
        }

    def queued(self, share: float) -> float:
        """A quantile of the packets' waits, in ms; 0 when none came."""
        return quantile(self.queued_ms, share)


@dataclass(frozen=True, slots=True)
class Picture:
    """One that was shown."""

    at_s: float
    height: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without a new picture."""

    start_s: float
    end_s: float

    @property
    def ms(self) -> float:
        """How long it was."""
        return (self.end_s - self.start_s) * 1000


def whole(moments: Sequence[Moment], start_s: float, end_s: float) -> Moment:
    """The moments that lie within a time, as one.

    Raises:
        ValueError: there is none.
    """
    inside = [one for one in moments if one.at_s - one.seconds >= start_s and one.at_s <= end_s]
    if not inside:
        raise ValueError(f"nothing was seen from {start_s:.1f} to {end_s:.1f} s")
    return Moment(
        at_s=inside[-1].at_s,
        seconds=sum(one.seconds for one in inside),
        link_bps=inside[-1].link_bps,
        link_bytes=sum(one.link_bytes for one in inside),
        seen_bytes=sum(one.seen_bytes for one in inside),
        queued_ms=tuple(ms for one in inside for ms in one.queued_ms),
    )


def longest(pictures: Sequence[Picture], start_s: float, end_s: float) -> Gap:
    """The longest time without a new picture among those that ended within a time; nothing if none did."""
    gaps = [
        Gap(before.at_s, after.at_s) for before, after in pairwise(pictures) if start_s <= after.at_s <= end_s
    ]
    return max(gaps, key=lambda gap: gap.ms, default=Gap(start_s, start_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFigures:
    """A viewer of a simulcast camera whose path becomes narrow, then wide again."""

    publisher: str
    narrow_s: float
    """When the path became narrow."""
    lower_after_s: float
    fall: Gap
    wide_s: float
    """When it became wide again."""
    higher_after_s: float
    climb: Gap
    moments: Sequence[Moment]
    pictures: Sequence[Picture]

    def plain(self) -> dict[str, Any]:
        """As what `json` takes."""
        return {
            "publisher": self.publisher,
            "narrow_s": round(self.narrow_s, 2),
            "lower_after_s": round(self.lower_after_s, 2),
            "longest_gap_then_ms": round(self.fall.ms),
            "wide_s": round(self.wide_s, 2),
            "higher_after_s": round(self.higher_after_s, 2),
            "longest_gap_after_ms": round(self.climb.ms),
            "moments": [moment.plain() for moment in self.moments],
            "pictures": [[round(picture.at_s, 3), picture.height] for picture in self.pictures],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BottleneckFigures:
    """A viewer of more cameras than the path carries.

    Attributes:
        used, seen_used: of what the path carries, by the link's count and by the browser's, once settled.
        fps, frozen_s, starved_s: of each camera: pictures a second, the time it stood still, and the time for
            which the viewer was told that the path does not carry it.
    """

    cameras: int
    settled_s: float
    used: float
    seen_used: float
    queued_p95_ms: float
    fps: Sequence[float]
    frozen_s: Sequence[float]
    starved_s: Sequence[float]
    moments: Sequence[Moment]

    def plain(self) -> dict[str, Any]:
        """As what `json` takes."""
        return {
            "cameras": self.cameras,
            "settled_s": round(self.settled_s, 2),
            "used": round(self.used, 3),
            "seen_used": round(self.seen_used, 3),
            "queued_p95_ms": round(self.queued_p95_ms, 1),
            "fps": [round(value, 1) for value in self.fps],
            "frozen_s": [round(value, 2) for value in self.frozen_s],
            "starved_s": [round(value, 2) for value in self.starved_s],
            "moments": [moment.plain() for moment in self.moments],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerFigures:
    """One of several viewers of a simulcast camera, each behind a path of its own.

    Attributes:
        limit_bps: what the path carries; None: everything.
        feedback: what tells the server of the path: TWCC or REMB.
        fits: height of the layer that fits the path.
        settled_s: when the last packet of another layer came.
        got_bps: what arrived in the end, IP headers included.
        queued_p95_ms: how long packets waited for the path.
        line: (seconds, kb/s, height of most packets) twice a second.
    """

    limit_bps: float | None
    feedback: str
    fits: int
    settled_s: float
    got_bps: float
    queued_p95_ms: float
    line: Sequence[tuple[float, int, int]]

    @property
    def name(self) -> str:
        """In a few characters: `0.3 REMB`."""
        limit = "none" if self.limit_bps is None else f"{self.limit_bps / 1e6:g}"
        return limit if self.feedback == "TWCC" else f"{limit} {self.feedback}"

    def plain(self) -> dict[str, Any]:
        """As what `json` takes."""
        return {
            **asdict(self),
            "settled_s": round(self.settled_s, 2),
            "got_bps": round(self.got_bps),
            "queued_p95_ms": round(self.queued_p95_ms, 1),
            "line": [list(point) for point in self.line],
        }
