"""How soon the API tells what is true at sites that fail, and how soon they are served again. PURE."""

from dataclasses import dataclass, field
from typing import Any, Final

from bench.quantiles import quantile

TRUTH_S: Final = 2.0
AGAIN_S: Final = 5.0
"""A site that is back is found within so long: the pause between two attempts counts."""
KINDS: Final = ("rtmp", "srt", "whip")
FAULTS: Final = {
    "hang": ("hangs, until the API tells", TRUTH_S),
    "after_hang": ("reads again, until it is live", TRUTH_S),
    "death": ("dies, until the API tells", TRUTH_S),
    "after_death": ("is there again, until it is live", AGAIN_S),
}


@dataclass(slots=True)
class FaultFigures:
    """Seconds of each repetition, by kind of site and of fault."""

    times: int = 0
    s: dict[str, list[float]] = field(
        default_factory=lambda: {f"{kind}_{fault}": [] for kind in KINDS for fault in FAULTS}
    )

    def lines(self) -> list[str]:
        """A line for each kind of site and of fault."""
        return [
            f"{kind.upper()} {what}: p50 {quantile(found, 0.5):.1f}, longest {max(found, default=0.0):.1f} s "
            f"of {len(found)}, at most {most_s:g}"
            for kind in KINDS
            for fault, (what, most_s) in FAULTS.items()
            for found in [self.s[f"{kind}_{fault}"]]
        ]

    def problems(self) -> list[str]:
        """What took longer than is promised."""
        return [
            f"{kind.upper()} {what}: {max(found):.1f} s, at most {most_s:g} are promised"
            for kind in KINDS
            for fault, (what, most_s) in FAULTS.items()
            for found in [self.s[f"{kind}_{fault}"]]
            if found and max(found) > most_s
        ]

    def plain(self) -> dict[str, Any]:
        """As what `json` takes."""
        rounded = {name: [round(value, 2) for value in values] for name, values in self.s.items()}
        return {"times": self.times, "s": rounded}
