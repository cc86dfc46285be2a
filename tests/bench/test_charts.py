"""The pictures of results show what was measured."""

import dataclasses
from typing import Any
from xml.etree import ElementTree as ET

from bench import charts
from bench.compare import Pair
from bench.figures import Figures
from bench.steps import JoinSteps
from bench.storm import Part, StormFigures, in_parts

_NAME = "{http://www.w3.org/2000/svg}"
_MS = 1_000_000


def run(cost_us: float = 2.0, p99_ms: float = 5.0) -> Figures:
    return Figures(
        cost_us=cost_us,
        calibration_us=1.9,
        ratio=1.0,
        packets_per_s=1000.0,
        server_core=0.1,
        packets_per_core_s=1,
        streams_per_core=1.0,
        lost=0,
        latency_p50_ms=p99_ms / 2,
        latency_p99_ms=p99_ms,
    )


def lines(svg: str) -> dict[str, list[float]]:
    """Each line's heights on the page, by its name in the legend: what is more is higher up."""
    picture = ET.fromstring(svg)
    names = [text.text or "" for text in picture.iter(f"{_NAME}text") if not text.get("class")]
    drawn = [
        [-float(point.split(",")[1]) for point in line.get("points", "").split()]
        for line in picture.iter(f"{_NAME}polyline")
    ]
    return dict(zip(names, drawn, strict=True))


def test_each_turn_of_the_engine_and_the_bare_relay_is_a_point() -> None:
    pair = Pair("4 x 225", 900, "AEAD_AES_128_GCM", [run(p99_ms=6), run(p99_ms=8)], [run(p99_ms=4)] * 2)
    svg = charts.latencies([pair])
    found = lines(svg)
    assert list(found) == ["engine GCM, p50", "engine GCM, p99", "bare relay, p50", "bare relay, p99"]
    assert found["bare relay, p99"][0] < found["engine GCM, p99"][0] < found["engine GCM, p99"][1]
    assert found["bare relay, p99"][0] == found["engine GCM, p50"][1]
    assert "4 x 225" in svg


def test_two_workers_one_and_a_bare_datagram_have_a_line_each() -> None:
    pair = Pair("1 x 300", 300, "AEAD_AES_128_GCM", [run(2.2), run(2.3)], [run(2.0), run(2.1)])
    found = lines(charts.workers(pair))
    assert list(found) == ["two workers", "one worker", "bare datagram"]
    assert all(two > one for two, one in zip(found["two workers"], found["one worker"], strict=True))


def join(called_ms: int, took_ms: int) -> JoinSteps:
    done = dict.fromkeys(("answered", "offered", "replied", "checked"), (called_ms + took_ms - 1) * _MS)
    keyed = (called_ms + took_ms - 1) * _MS
    return JoinSteps(
        called=called_ms * _MS, **done, agreed=keyed, keyed=keyed, first=(called_ms + took_ms) * _MS
    )


def test_joins_are_taken_together_in_the_order_of_their_calls() -> None:
    joins = [join(1 + number, 10 + number) for number in reversed(range(100))]
    parts = in_parts([*joins, JoinSteps(called=5)])
    assert [part.people for part in parts] == list(range(0, 100, 10))
    assert [part.join_max_ms for part in parts] == [19.0 + 10 * number for number in range(10)]
    assert all(4 <= part.join_max_ms - part.join_p50_ms <= 6 for part in parts)
    assert [part.people for part in in_parts(joins[:3])] == [0, 1, 2]
    assert in_parts([]) == ()


def stormy(parts: tuple[Part, ...] = (), **wrong: Any) -> StormFigures:
    fields = (field.name for field in dataclasses.fields(StormFigures))
    fine = {**dict.fromkeys(fields, 0.0), "joins": 100, "connected": 100, "failures": (), "took_s": 2.0}
    return StormFigures(**{**fine, "parts": parts, **wrong})


def test_a_storm_is_judged_by_who_came_by_keyframes_and_by_lag() -> None:
    assert stormy(keyframe_requests=5.0, lag_p99_ms=50.0).problems() == []
    assert stormy(connected=99, failures=("refused",)).problems() == ["refused"]
    assert stormy(keyframe_requests=6.0).problems() == ["6 keyframe requests in 2.0 s"]
    assert stormy(lag_p99_ms=50.1).problems() == ["the event loop lagged by 50.1 ms at p99"]


def test_a_storm_is_drawn_over_the_people_in_the_room() -> None:
    parts = in_parts([join(1 + number, 10 + number) for number in range(100)])
    found = lines(charts.storm(stormy(parts)))
    slowest, median = found.values()
    assert slowest == sorted(slowest)
    assert all(most > half for most, half in zip(slowest, median, strict=True))
