"""Charts are well-formed, and their points lie where their values say."""

from xml.etree import ElementTree as ET

import pytest

from bench.plot import Band, Chart, Series, stacked, ticks

_NAME = "{http://www.w3.org/2000/svg}"


def drawn(chart: Chart) -> ET.Element:
    return ET.fromstring(chart.svg())


def chart(**more) -> Chart:
    series = more.pop("series", [Series("a < b", [(1, 2.0), (10, 1.0), (100, 4.0)])])
    return Chart(title="cost & load", x_label="x", y_label="y", series=series, **more)


def test_words_are_escaped_and_every_point_has_a_dot() -> None:
    picture = drawn(chart(note="a <machine>"))
    assert picture.find(f"{_NAME}title").text == "cost & load"
    words = [text.text for text in picture.iter(f"{_NAME}text")]
    assert "a < b" in words
    assert "a <machine>" in words
    dots = [dot for dot in picture.iter(f"{_NAME}circle") if dot.get("r") == "3"]
    heights = [float(dot.get("cy")) for dot in dots]
    assert heights[2] < heights[0] < heights[1]


def test_factors_are_even_steps_on_a_logarithmic_axis() -> None:
    [line] = drawn(chart(is_log_x=True)).iter(f"{_NAME}polyline")
    first, second, third = (float(point.split(",")[0]) for point in line.get("points").split())
    assert second - first == pytest.approx(third - second, abs=0.2)


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        chart(series=[]).svg()


@pytest.mark.parametrize("high", [0.03, 0.9, 1, 4.2, 12, 350_000])
def test_ticks_are_few_and_reach_the_top(high: float) -> None:
    steps = ticks(high)
    assert steps[0] == 0
    assert steps[-1] >= high
    assert 3 <= len(steps) <= 9


def test_a_stretch_of_the_axis_is_marked_where_it_lies() -> None:
    picture = drawn(chart(bands=[Band(10, 100, "freeze")]))
    [band] = [rect for rect in picture.iter(f"{_NAME}rect") if rect.get("class") == "band"]
    left, width = float(band.get("x")), float(band.get("width"))
    [line] = picture.iter(f"{_NAME}polyline")
    _, second, third = (float(point.split(",")[0]) for point in line.get("points").split())
    assert (left, left + width) == pytest.approx((second, third), abs=0.2)
    assert "freeze" in [text.text for text in picture.iter(f"{_NAME}text")]


def test_points_that_do_not_follow_each_other_are_not_joined() -> None:
    picture = drawn(chart(series=[Series("apart", [(1, 1), (2, 3)], is_joined=False)]))
    assert list(picture.iter(f"{_NAME}polyline")) == []
    assert len([dot for dot in picture.iter(f"{_NAME}circle") if dot.get("r") == "3"]) == 2


def test_charts_stand_one_under_another() -> None:
    charts = [chart(height=200), chart(height=300, span_x=(0, 200))]
    picture = ET.fromstring(stacked(charts))
    assert picture.get("viewBox") == "0 0 720 500"
    assert [group.get("transform") for group in picture.iter(f"{_NAME}g")] == [
        "translate(0 0)",
        "translate(0 200)",
    ]
    first, second = (line.get("points").split(",")[0] for line in picture.iter(f"{_NAME}polyline"))
    assert float(first) < float(second)
