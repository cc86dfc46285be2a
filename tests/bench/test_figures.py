"""Which run counts, what is written, and what a climb stops at."""

import json

from bench import figures, saturation
from bench.compare import Pair, called, in_turn, merged
from bench.figures import Figures
from bench.wanted import Wanted


def run(
    cost_us: float, *, is_void: bool = False, p99_ms: float = 1.0, packets_per_s: float = 1000
) -> Figures:
    return Figures(
        cost_us=cost_us,
        calibration_us=4.0,
        ratio=cost_us / 4,
        packets_per_s=packets_per_s,
        server_core=0.1,
        packets_per_core_s=1e6 / cost_us,
        streams_per_core=10,
        lost=0,
        latency_p50_ms=0.5,
        latency_p99_ms=p99_ms,
        is_void=is_void,
    )


def test_the_median_leaves_void_runs_out() -> None:
    runs = [run(9, is_void=True), run(4), run(3), run(5), run(1, is_void=True)]
    assert figures.middle(runs).cost_us == 4
    assert figures.middle([run(7, is_void=True)]).is_void


def test_what_was_not_measured_is_not_written(tmp_path) -> None:
    path = figures.keep("x", {"figures": figures.plain(run(4))}, svg="<svg/>", folder=tmp_path)
    kept = json.loads(path.read_text())
    assert kept["figures"]["cost_us"] == 4
    assert "join_p50_ms" not in kept["figures"]
    assert kept["machine"]
    assert (tmp_path / "x.svg").read_text() == "<svg/>"


def test_shapes_count_the_streams_that_arrive() -> None:
    assert Wanted(publishers=2, subscribers=50).streams == 100
    assert Wanted(mesh=6, rooms=2).streams == 60
    assert Wanted(mesh=6, rooms=2).watchers == 12
    assert Wanted(mesh=6, rooms=2).shape() == "2 rooms of 6 x 6"


async def test_a_climb_ends_after_two_rungs_that_are_not_carried() -> None:
    latencies = iter([1.0, 50.0, 2.0, 30.0, 40.0, 1.0])

    async def measure(wanted: Wanted) -> Figures:
        return run(2, p99_ms=next(latencies), packets_per_s=wanted.packets_per_s)

    steps = await saturation.climb(measure, Wanted(), [(1, number) for number in range(1, 7)])
    assert [step.is_carried for step in steps] == [True, False, True, False, False]
    assert saturation.carried(steps).streams == 3


async def test_two_servers_take_turns() -> None:
    order: list[str] = []

    def server(name: str, cost_us: float):
        async def measure(wanted: Wanted) -> Figures:
            order.append(name)
            return run(cost_us)

        return measure

    pair = await in_turn(server("a", 2.0), server("b", 8.0), Wanted(), 2)
    assert order == ["a", "b", "a", "b"]
    assert pair.ratio == 0.25


async def test_added_latency_is_the_difference_of_the_medians() -> None:
    latencies = iter([3.0, 1.0, 9.0, 2.0, 4.0, 1.5])

    async def measure(_: Wanted) -> Figures:
        return run(2, p99_ms=next(latencies))

    assert (await in_turn(measure, measure, Wanted(), 3)).added_p99_ms == 2.5


def test_a_table_is_measured_in_pieces(tmp_path) -> None:
    old, other = (Pair(shape, 10, "GCM", [run(4)], [run(8)]) for shape in ("1 x 10", "6 x 6"))
    figures.keep("pairs", {"pairs": [old.plain(), other.plain()]}, folder=tmp_path)
    known = [Pair.from_plain(pair) for pair in figures.kept("pairs", folder=tmp_path)["pairs"]]
    assert known == [old, other]
    new = Pair("1 x 10", 10, "GCM", [run(2)], [run(8)])
    assert merged(known, [new]) == [other, new]
    assert figures.kept("nothing", folder=tmp_path) == {}


def test_a_table_in_pieces_names_every_command_once() -> None:
    table = called(called("bench --mesh 6", "bench --add --mesh 0"), "bench --add --mesh 0")
    assert table == "bench --mesh 6 && bench --add --mesh 0"


def test_a_slower_camera_sends_fewer_packets_and_is_named() -> None:
    assert Wanted(subscribers=500, frames_per_s=5).packets_per_s == 500 * 80
    assert Wanted(subscribers=500, frames_per_s=5).shape() == "1 x 500, 5 frames/s"
