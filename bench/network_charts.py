"""The pictures of what viewers behind bad networks saw."""

from collections.abc import Sequence

from bench import figures, plot
from bench.network import BottleneckFigures, Moment, StepFigures, ViewerFigures, whole

_SECONDS = "seconds"
_PANEL = 280


def step(found: StepFigures) -> str:
    """Rates, height and queueing delay over time, while the path becomes narrow and wide again."""
    gaps = [
        plot.Band(gap.start_s, gap.end_s, f"longest gap {gap.ms:.0f} ms") for gap in (found.fall, found.climb)
    ]
    heights = plot.Chart(
        title="",
        x_label=_SECONDS,
        y_label="lines",
        series=[plot.Series("height", _steps([(one.at_s, float(one.height)) for one in found.pictures]))],
        bands=gaps,
        span_x=_span(found.moments),
        height=_PANEL - 50,
    )
    title = f"A path of 3, 1 and again 3 Mb/s; {found.publisher.capitalize()} publishes"
    return plot.stacked([_rates(title, found.moments), heights, _queue(found.moments)])


def bottleneck(found: BottleneckFigures) -> str:
    """Rates and queueing delay over time, behind a path that is too narrow for all."""
    title = f"{found.cameras} cameras behind 1 Mb/s: {found.used:.0%} used"
    measured = [plot.Band(found.settled_s, found.moments[-1].at_s, "measured")]
    return plot.stacked([_rates(title, found.moments), _queue(found.moments, measured)])


def viewers(found: Sequence[ViewerFigures]) -> str:
    """What each viewer's path carries, what arrived, and how soon that was the layer that fits."""
    ordered = sorted(found, key=lambda one: (one.limit_bps or float("inf"), one.feedback != "TWCC"))
    places = list(enumerate(ordered, 1))
    names = {float(place): one.name for place, one in places}
    limits = [(float(place), one.limit_bps / 1e6) for place, one in places if one.limit_bps is not None]
    got = [(float(place), one.got_bps / 1e6) for place, one in places]
    settled = [(float(place), one.settled_s) for place, one in places]
    what = "limit of the path, Mb/s"
    return plot.stacked(
        [
            plot.Chart(
                title="Ten viewers of one camera, each behind a path of its own",
                x_label=what,
                y_label="Mb/s",
                series=[
                    plot.Series("limit of the path", limits, is_joined=False),
                    plot.Series("what arrives", got, is_joined=False),
                ],
                x_names=names,
                height=360,
            ),
            plot.Chart(
                title="",
                x_label=what,
                y_label="s",
                series=[plot.Series("until only the layer that fits comes", settled, is_joined=False)],
                x_names=names,
                height=_PANEL,
                note=figures.machine(),
            ),
        ]
    )


def _rates(title: str, moments: Sequence[Moment]) -> plot.Chart:
    limits = [(one.at_s, one.link_bps / 1e6) for one in moments if one.link_bps is not None]
    seen = [(one.at_s, one.seen_bytes * 8 / one.seconds / 1e6) for one in _drawn_out(moments)]
    return plot.Chart(
        title=title,
        x_label=_SECONDS,
        y_label="Mb/s",
        series=[
            plot.Series("what the link carries", _steps(limits)),
            plot.Series("what arrives, over a second", seen),
        ],
        span_x=_span(moments),
        height=_PANEL,
    )


def _queue(moments: Sequence[Moment], bands: Sequence[plot.Band] = ()) -> plot.Chart:
    series = [
        plot.Series(name, [(one.at_s, one.queued(share)) for one in moments])
        for name, share in (("longest wait in the link's queue", 1.0), ("median", 0.5))
    ]
    return plot.Chart(
        title="",
        x_label=_SECONDS,
        y_label="ms",
        series=series,
        bands=bands,
        span_x=_span(moments),
        height=_PANEL,
        note=figures.machine(),
    )


def _span(moments: Sequence[Moment]) -> tuple[float, float]:
    return 0.0, moments[-1].at_s


def _drawn_out(moments: Sequence[Moment]) -> list[Moment]:
    """Each with those before it in its second, as one: bursts are not rates."""
    return [whole(moments, max(one.at_s - 1.0, 0.0), one.at_s) for one in moments]


def _steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Corners in place of slopes: a value holds until the next."""
    found: list[tuple[float, float]] = []
    for at, value in points:
        if found and found[-1][1] != value:
            found.append((at, found[-1][1]))
        found.append((at, value))
    return found
