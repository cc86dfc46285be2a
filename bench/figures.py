"""What a run found, for people and as JSON; a run is void when its load fell short of its plan."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from bench import steps
from bench.quantiles import median

_HOME: Final = Path(__file__).parent
OUT: Final = _HOME / "out" if (_HOME.parent / "pyproject.toml").exists() else Path("parley-bench")
"""Where results go: beside the bench in a checkout, else in the folder where the command was called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run's result; what was not measured is None."""

    cost_us: float
    """CPU of the server, all threads, user and system, for each packet that subscribers received."""
    calibration_us: float
    """A bare 1 200-byte datagram through loopback just before and after, both halves."""
    ratio: float
    """`cost_us` in units of a bare datagram, the figure that survives the machine's moods."""
    packets_per_s: float
    server_core: float
    """Cores that the server used."""
    packets_per_core_s: float
    streams_per_core: float
    """Streams of the plan (one camera with its sound) that one core would carry at this cost."""
    lost: int
    latency_p50_ms: float
    latency_p99_ms: float
    frame_p50_ms: float | None = None
    """Latency of the packets that end a frame: a decoder waits for no other."""
    frame_p99_ms: float | None = None
    repaired: int | None = None
    """Packets that came again after they were lost on purpose; `lost` are those that did not."""
    segments_per_message: float | None = None
    kib_per_transport: float | None = None
    """Resident memory that each further subscriber took, Python included."""
    join_p50_ms: float | None = None
    """From a join call to the first decrypted packet."""
    join_p99_ms: float | None = None
    connect_p50_ms: float | None = None
    """From a join call to keys on both sides: what of it is the servers' and not the next packet's."""
    join_steps_ms: Mapping[str, float] = field(default_factory=dict)
    """The median of each step of a join, by the names of `bench.steps`."""
    lag_p99_ms: float | None = None
    """How late the server's event loop came to what was due."""
    worker_core: float | None = None
    """Cores that the threads used which carry media."""
    worker_shares: tuple[float, ...] = ()
    """Share of the forwarded packets that each worker carried."""
    drops: Mapping[str, float] = field(default_factory=dict)
    is_void: bool = False
    """The load fell short of its plan (a starved machine), or packets were lost: the figures say nothing."""


def middle(runs: Sequence[Figures]) -> Figures:
    """The run of the median cost among those that count, or among all if none does.

    Raises:
        ValueError: there is no run.
    """
    if not runs:
        raise ValueError("no run to take the middle of")
    wanted = median_cost_us(runs)
    return min(_counting(runs), key=lambda run: abs(run.cost_us - wanted))


def median_cost_us(runs: Sequence[Figures]) -> float:
    """The median cost of the runs that count, or of all if none does."""
    return median([run.cost_us for run in _counting(runs)])


def kept(name: str, *, folder: Path = OUT) -> dict[str, Any]:
    """What `keep` wrote to the folder; empty when there is nothing."""
    path = folder / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def median_p99_ms(runs: Sequence[Figures]) -> float:
    """The median p99 latency of the runs that count, or of all if none does."""
    return median([run.latency_p99_ms for run in _counting(runs)])


def _counting(runs: Sequence[Figures]) -> Sequence[Figures]:
    return [run for run in runs if not run.is_void] or runs


def line(name: str, run: Figures) -> str:
    """One run in one line."""
    parts = [
        f"{name}: {run.cost_us:.2f} us a packet",
        f"{run.ratio:.2f} of a bare datagram ({run.calibration_us:.2f} us)",
        f"{run.packets_per_s:.0f} packets/s on {run.server_core:.3f} of a core"
        + ("" if run.worker_core is None else f" (media threads {run.worker_core:.3f})"),
        f"{run.packets_per_core_s:.0f} packets/s and {run.streams_per_core:.0f} streams a core",
        f"latency p50 {run.latency_p50_ms:.2f} p99 {run.latency_p99_ms:.2f} ms",
        f"{run.lost} lost" + ("" if run.repaired is None else f" and {run.repaired} repaired"),
    ]
    if run.frame_p50_ms is not None:
        parts.append(f"whole frames p50 {run.frame_p50_ms:.2f} p99 {run.frame_p99_ms or 0:.2f} ms")
    if run.join_p50_ms is not None:
        parts.append(
            f"join p50 {run.join_p50_ms:.1f} p99 {run.join_p99_ms or 0:.1f} ms "
            f"(keys after {run.connect_p50_ms or 0:.1f})"
        )
    if run.join_steps_ms:
        parts.append(f"p50 of its steps: {steps.told(run.join_steps_ms)} ms")
    if run.kib_per_transport is not None:
        parts.append(f"{run.kib_per_transport:.0f} KiB a transport")
    if run.lag_p99_ms is not None:
        parts.append(f"loop lag p99 {run.lag_p99_ms:.1f} ms")
    if len(run.worker_shares) > 1:
        parts.append("workers " + " ".join(f"{share:.0%}" for share in run.worker_shares))
    if run.is_void:
        parts.append("VOID: the load fell short of its plan")
    return ", ".join(parts)


def machine() -> str:
    """This machine in a few words."""
    model = "unknown CPU"
    for row in Path("/proc/cpuinfo").read_text().splitlines():
        if row.startswith("model name"):
            model = row.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}"


def keep(name: str, result: Mapping[str, Any], *, svg: str | None = None, folder: Path = OUT) -> Path:
    """Write a result, and its picture, to the folder; returns the JSON's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **result}, indent=2) + "\n")
    if svg is not None:
        path.with_suffix(".svg").write_text(svg)
    return path


def from_plain(told: Mapping[str, Any]) -> Figures:
    """The inverse of `plain`."""
    return Figures(**{**told, "worker_shares": tuple(told.get("worker_shares", ()))})


def plain(run: Figures) -> dict[str, Any]:
    """A run as what `json` takes, without what was not measured."""
    return {name: value for name, value in asdict(run).items() if value not in (None, (), {})}
