"""Few numbers out of many."""

import pytest

from bench.quantiles import Histogram, median, quantile, slope

_TEXT = """# TYPE lag_seconds histogram
lag_seconds_bucket{le="0.01"} %s
lag_seconds_bucket{le="0.02"} %s
lag_seconds_bucket{le="+Inf"} %s
lag_seconds_count 4.0
other_bucket{le="+Inf"} 7.0
"""


def test_a_quantile_lies_between_its_neighbours() -> None:
    assert quantile([4, 1, 3, 2], 0.5) == 2.5
    assert quantile([1, 2, 3], 1.0) == 3
    assert quantile([5], 0.99) == 5
    assert quantile([], 0.5) == 0
    assert median([3, 1, 2]) == 2


def test_the_slope_of_a_line_is_its_own() -> None:
    assert slope([(0, 1), (1, 3), (2, 5)]) == pytest.approx(2)
    assert slope([(1, 5)]) == 0
    assert slope([(1, 5), (1, 7)]) == 0


def test_a_single_jump_is_no_slope() -> None:
    assert slope([(x, 900.0 if x == 40 else 100.0) for x in range(100)]) == 0


def test_the_slope_of_very_many_points_is_theirs() -> None:
    assert slope([(x, 3.0 * x + (-1) ** x) for x in range(5_000)]) == pytest.approx(3, rel=0.01)


def test_a_histogram_tells_what_came_since_an_earlier_one() -> None:
    before = Histogram.parse(_TEXT % (90, 95, 100), "lag_seconds")
    after = Histogram.parse(_TEXT % (90, 105, 110), "lag_seconds")
    assert after.since(before).quantile(0.5) == pytest.approx(0.015)
    assert before.quantile(0.45) == pytest.approx(0.005)


def test_beyond_the_last_bound_nothing_is_known_but_the_bound() -> None:
    assert Histogram.parse(_TEXT % (0, 0, 10), "lag_seconds").quantile(0.99) == 0.02
    assert Histogram.parse(_TEXT % (0, 0, 10), "missing").quantile(0.5) == 0
