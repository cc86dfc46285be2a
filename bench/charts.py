"""The pictures of the results."""

from collections.abc import Sequence

from bench import figures, plot
from bench.compare import Pair
from bench.figures import Figures
from bench.saturation import Step
from bench.soak_figures import SoakFigures
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


def _over_streams(title: str, series: Sequence[plot.Series]) -> str:
    return plot.Chart(
        title=title, x_label=_STREAMS, y_label="µs", series=series, is_log_x=True, note=figures.machine()
    ).svg()


def _short(profile: str) -> str:
    return "GCM" if "GCM" in profile else "SHA1-80"
