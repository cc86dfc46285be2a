"""The pictures of the results."""

from collections.abc import Sequence

from bench import figures, plot
from bench.compare import Pair
from bench.figures import Figures
from bench.offset_figures import PLACES, OffsetFigures
from bench.revocation_figures import SINKS, RevocationFigures
from bench.saturation import Step
from bench.soak_figures import SoakFigures
from bench.storm import StormFigures
from bench.wanted import Wanted

_STREAMS = "streams (a camera with its sound, arriving at one subscriber)"


def costs(runs: Sequence[tuple[Wanted, Figures]]) -> str:
    """Cost over the number of streams, a line for each SRTP profile."""
    series = []
    for profile in sorted({wanted.profile for wanted, _ in runs}):
        points = [(float(wanted.streams), run.cost_us) for wanted, run in runs if wanted.profile == profile]
        series.append(plot.Series(_short(profile), sorted(points)))
    return _over_streams("CPU for each forwarded packet", series)


def comparison(pairs: Sequence[Pair], name: str) -> str:
    """Cost over the number of streams, a line for each server and profile."""
    series = []
    for profile in sorted({pair.profile for pair in pairs}):
        mine = sorted((pair for pair in pairs if pair.profile == profile), key=lambda pair: pair.streams)
        ours = [(float(pair.streams), figures.middle(pair.ours).cost_us) for pair in mine]
        theirs = [(float(pair.streams), figures.middle(pair.theirs).cost_us) for pair in mine]
        series.append(plot.Series(f"Parley {_short(profile)}", ours))
        series.append(plot.Series(f"{name.capitalize()} {_short(profile)}", theirs))
    return _over_streams(f"CPU for each forwarded packet, Parley and {name.capitalize()}", series)


def saturation(curves: Sequence[tuple[str, Sequence[Step]]]) -> str:
    """Cost over packets a second, up to one full core."""
    series = [
        plot.Series(name, sorted((step.figures.packets_per_s, step.figures.cost_us) for step in steps))
        for name, steps in curves
    ]
    return plot.Chart(
        title="CPU for each forwarded packet up to one full core",
        x_label="packets a second",
        y_label="µs",
        series=series,
        note=figures.machine(),
    ).svg()


def latencies(pairs: Sequence[Pair]) -> str:
    """Latency of the engine and of the bare relay in each turn, lines for each profile and percentile."""
    series = []
    for pair in pairs:
        for name, runs in ((f"engine {_short(pair.profile)}", pair.ours), ("bare relay", pair.theirs)):
            series.append(_turns(f"{name}, p50", [run.latency_p50_ms for run in runs]))
            series.append(_turns(f"{name}, p99", [run.latency_p99_ms for run in runs]))
    shapes = ", ".join(dict.fromkeys(pair.shape for pair in pairs))
    return _over_turns(f"Latency at half load, {shapes}", "ms", series)


def workers(pair: Pair) -> str:
    """What a packet cost on two workers and on one in each turn, beside a bare datagram."""
    both = [
        (two.calibration_us + one.calibration_us) / 2 for two, one in zip(pair.ours, pair.theirs, strict=True)
    ]
    series = [
        _turns("two workers", [run.cost_us for run in pair.ours]),
        _turns("one worker", [run.cost_us for run in pair.theirs]),
        _turns("bare datagram", both),
    ]
    return _over_turns(f"CPU for each forwarded packet on two workers and on one, {pair.shape}", "µs", series)


def storm(found: StormFigures) -> str:
    """How long people waited for their first packet, over how many had come before."""
    series = [
        plot.Series("slowest", [(part.people, part.join_max_ms) for part in found.parts]),
        plot.Series("median", [(part.people, part.join_p50_ms) for part in found.parts]),
    ]
    return plot.Chart(
        title=f"From the join call to the first packet: {found.joins} people within {found.seconds:g} s",
        x_label="people who were in the room, or on their way, before",
        y_label="ms",
        series=series,
        note=figures.machine(),
    ).svg()


def memory(found: SoakFigures) -> str:
    """The server's memory over a soak."""
    points = [(sample.at_s / 60, sample.rss_kib / 1024) for sample in found.shown()]
    return plot.Chart(
        title="Memory of a server whose people come and go",
        x_label="minutes",
        y_label="MiB",
        series=[plot.Series("resident", points)],
        note=figures.machine(),
    ).svg()


def revocations(found: RevocationFigures) -> str:
    """Which share of revocations was over at a sink after how long, a line for each."""
    series = []
    for name, what in SINKS.items():
        ordered = sorted(found.ms[name])
        points = [(max(at, 0.0), (rank + 1) * 100 / len(ordered)) for rank, at in enumerate(ordered)]
        series.append(plot.Series(what.partition(",")[0] + " " + name.partition("_")[2], points))
    return plot.Chart(
        title="From a revocation's call to the last of the person",
        x_label="ms",
        y_label="% of the revocations",
        series=series,
        note=figures.machine(),
    ).svg()


def offsets(found: OffsetFigures) -> str:
    """How often sound and picture are how far apart, a line for each place."""
    return plot.Chart(
        title="By how much a beep, or a line of chat, is later than its flash",
        x_label="ms, in steps of 5",
        y_label="of them",
        series=[plot.Series(what, found.histogram(name)) for name, what in PLACES.items()],
        note=figures.machine(),
    ).svg()


def _over_streams(title: str, series: Sequence[plot.Series]) -> str:
    return plot.Chart(
        title=title, x_label=_STREAMS, y_label="µs", series=series, is_log_x=True, note=figures.machine()
    ).svg()


def _turns(name: str, values: Sequence[float]) -> plot.Series:
    return plot.Series(name, [(float(turn), value) for turn, value in enumerate(values, 1)])


def _over_turns(title: str, y_label: str, series: Sequence[plot.Series]) -> str:
    return plot.Chart(
        title=title, x_label="turn", y_label=y_label, series=series, note=figures.machine()
    ).svg()


def _short(profile: str) -> str:
    return "GCM" if "GCM" in profile else "SHA1-80"
