"""How far sound, picture and chat of one instant are apart, by place. PURE."""

from dataclasses import dataclass, field
from typing import Any, Final

from bench.quantiles import quantile

PROMISE_MS: Final = 40.0
CHAT_PROMISE_MS: Final = 200.0
LOSS: Final = 0.02
DRIFT_PPM: Final = 50.0
PLACES: Final = {
    "recording": "recording",
    "render": "film of the recording",
    "rtmp": "RTMP behind the site",
    "chat_recording": "chat in the recording",
    "chat_render": "chat beside the film",
    "chat_hls": "chat in HLS",
}
"""`chat_`: a line of chat that is written at the instant of the flash, in place of the beep."""
_BIN_MS: Final = 5


@dataclass(slots=True)
class OffsetFigures:
    """Milliseconds by which the beep, or the line of chat, is later than its flash, by place."""

    seconds: float
    loss: float
    drift_ppm: float
    repaired: int = 0
    ms: dict[str, list[float]] = field(default_factory=dict)

    def farthest(self, place: str) -> float:
        """The p99 of how far apart they are, whichever comes first."""
        return quantile([abs(value) for value in self.ms[place]], 0.99)

    def lines(self) -> list[str]:
        """A line for each place."""
        return [self._line(name, what) for name, what in PLACES.items()]

    def _line(self, name: str, what: str) -> str:
        values = self.ms[name]
        return (
            f"{what}: {len(values)} flashes, p50 {quantile(values, 0.5):+.1f}, "
            f"from {min(values):+.1f} to {max(values):+.1f}, p99 {self.farthest(name):.1f} ms apart"
        )

    def problems(self) -> list[str]:
        """What is wrong: places where p99 is above what is promised."""
        return [
            f"{what}: p99 {self.farthest(name):.1f} ms apart, at most {promise_ms(name):.0f} are promised"
            for name, what in PLACES.items()
            if self.farthest(name) > promise_ms(name)
        ]

    def histogram(self, place: str) -> list[tuple[float, float]]:
        """(ms, how many) in steps of 5 ms."""
        counts: dict[int, int] = {}
        for value in self.ms[place]:
            step = round(value / _BIN_MS)
            counts[step] = counts.get(step, 0) + 1
        steps = range(min(counts) - 1, max(counts) + 2)
        return [(float(step * _BIN_MS), float(counts.get(step, 0))) for step in steps]

    def plain(self) -> dict[str, Any]:
        """As what `json` takes."""
        rounded = {name: [round(value, 2) for value in values] for name, values in self.ms.items()}
        run = {"seconds": self.seconds, "loss": self.loss, "drift_ppm": self.drift_ppm}
        return {**run, "repaired": self.repaired, "ms": rounded}


def promise_ms(place: str) -> float:
    """So many milliseconds apart at most, in 99 of 100."""
    return CHAT_PROMISE_MS if place.startswith("chat_") else PROMISE_MS
