"""What many revocations took, for each kind of sink. PURE."""

from dataclasses import dataclass, field
from typing import Any, Final

from bench.quantiles import quantile

PROMISE_MS: Final = 250.0
SINKS: Final = {
    "done": "server, call to done",
    "rtmp_picture": "RTMP, last picture decoded behind the site",
    "rtmp_sound": "RTMP, last sound decoded behind the site",
    "srt_picture": "SRT, last picture decoded behind the site",
    "srt_sound": "SRT, last sound decoded behind the site",
    "whip_picture": "WHIP, last picture that the site decoded",
    "whip_sound": "WHIP, last sound that the site decoded",
    "hls": "HLS, last answer with a segment that holds the person",
    "hls_part": "LL-HLS, last answer with a part that holds the person",
    "whep": "WHEP, last packet",
    "file": "recording, last write to a file",
}


@dataclass(slots=True)
class RevocationFigures:
    """Milliseconds from the call, of each repetition, by sink. Negative: the last came before the call."""

    times: int = 0
    ms: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in SINKS})

    def lines(self) -> list[str]:
        """A line for each sink."""
        return [
            f"{what}: p50 {quantile(self.ms[name], 0.5):.0f}, p99 {quantile(self.ms[name], 0.99):.0f}, "
            f"longest {max(self.ms[name]):.0f} ms of {len(self.ms[name])}"
            for name, what in SINKS.items()
        ]

    def late(self) -> list[str]:
        """What is wrong: sinks whose p99 is above what is promised."""
        return [
            f"{what}: p99 {quantile(self.ms[name], 0.99):.0f} ms, at most {PROMISE_MS:.0f} are promised"
            for name, what in SINKS.items()
            if quantile(self.ms[name], 0.99) > PROMISE_MS
        ]

    def plain(self) -> dict[str, Any]:
        """As what `json` takes."""
        rounded = {name: [round(value, 1) for value in values] for name, values in self.ms.items()}
        return {"times": self.times, "ms": rounded}
