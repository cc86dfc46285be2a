"""What viewers behind bad networks saw is counted and drawn as it was."""

from xml.etree import ElementTree as ET

import pytest

from bench import network_charts
from bench.network import (
    BottleneckFigures,
    Gap,
    Moment,
    Picture,
    StepFigures,
    ViewerFigures,
    longest,
    whole,
)

_NAME = "{http://www.w3.org/2000/svg}"


def moment(at_s: float, link_bytes: int = 25_000, queued_ms: tuple[float, ...] = (1.0, 3.0)) -> Moment:
    return Moment(
        at_s=at_s,
        seconds=0.2,
        link_bps=1e6,
        link_bytes=link_bytes,
        seen_bytes=link_bytes,
        queued_ms=queued_ms,
    )


MOMENTS = [moment((number + 1) / 5) for number in range(50)]
PICTURES = [Picture(number / 10, 360 if number < 40 else 180) for number in range(100)]


def words(svg: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(svg).iter(f"{_NAME}text")]


def test_moments_within_a_time_are_one() -> None:
    found = whole([moment(1.0, 1000), moment(1.2, 100, (9.0,)), moment(1.4, 10, ())], 0.9, 1.4)
    assert (found.link_bytes, found.queued_ms) == (110, (9.0,))
    assert found.seconds == pytest.approx(0.4)
    with pytest.raises(ValueError, match="nothing was seen"):
        whole([moment(1.0)], 2.0, 3.0)


def test_a_moment_without_packets_queued_nothing() -> None:
    assert moment(1.0, 0, ()).plain()["queued_p95_ms"] == 0


def test_the_longest_gap_is_one_that_ended_in_time() -> None:
    pictures = [Picture(at_s, 180) for at_s in (0.0, 1.0, 1.1, 1.4, 3.0)]
    assert longest(pictures, 1.05, 2.0) == Gap(1.1, 1.4)
    assert longest(pictures, 0.5, 2.0) == Gap(0.0, 1.0)
    assert longest([], 0.5, 2.0).ms == 0


def test_a_step_is_drawn_with_its_gaps() -> None:
    found = StepFigures(
        publisher="chromium",
        narrow_s=3.0,
        lower_after_s=1.0,
        fall=Gap(3.0, 3.117),
        wide_s=7.0,
        higher_after_s=1.0,
        climb=Gap(7.9, 8.0),
        moments=MOMENTS,
        pictures=PICTURES,
    )
    assert {"longest gap 117 ms", "longest gap 100 ms", "height"} <= set(words(network_charts.step(found)))
    kept = found.plain()
    assert (kept["longest_gap_then_ms"], kept["moments"][0]["passed_bps"]) == (117, 1_000_000)


def test_a_bottleneck_is_drawn_with_what_was_measured() -> None:
    found = BottleneckFigures(
        cameras=5,
        settled_s=4.0,
        used=0.874,
        seen_used=0.87,
        queued_p95_ms=60.0,
        fps=[7.0] * 5,
        frozen_s=[0.0] * 5,
        starved_s=[0.0] * 5,
        moments=MOMENTS,
    )
    assert {"5 cameras behind 1 Mb/s: 87% used", "measured"} <= set(words(network_charts.bottleneck(found)))
    assert found.plain()["used"] == 0.874


def test_viewers_are_drawn_in_the_order_of_their_limits() -> None:
    found = [
        ViewerFigures(
            limit_bps=limit,
            feedback=feedback,
            fits=180,
            settled_s=1.0,
            got_bps=1e5,
            queued_p95_ms=10.0,
            line=[(0.0, 100, 180)],
        )
        for limit, feedback in ((None, "TWCC"), (3e5, "REMB"), (3e5, "TWCC"), (2e5, "TWCC"))
    ]
    shown = words(network_charts.viewers(found))
    places = [shown.index(name) for name in ("0.2", "0.3", "0.3 REMB", "none")]
    assert places == sorted(places)
    assert found[0].plain()["line"] == [[0.0, 100, 180]]
