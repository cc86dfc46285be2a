"""The judgement of a soak: what leaks is told, what only settles is not."""

from dataclasses import replace

from bench.soak_figures import Sample, SoakFigures, judge

EMPTY = Sample(0.0, 131_000.0, descriptors=33, sockets=5, threads=9, tasks=12)
MINUTES = 60.0
JOINS = 14_000


def soaked(*, leak_kib_per_join: float = 0.0, settled_kib: float = 3_000.0) -> SoakFigures:
    """An hour whose memory settles within ten minutes, trembles and jumps once, and leaks if told so."""
    samples = []
    for second in range(0, 3_600, 2):
        rss = 140_000.0 + settled_kib * min(second / 600, 1) + leak_kib_per_join * JOINS * second / 3_600
        rss += 300.0 * (second % 7) / 7 + (20_000.0 if second == 3_000 else 0.0)
        samples.append(Sample(float(second), rss, 300, 40, 9, 60))
    return SoakFigures(minutes=MINUTES, joins=JOINS, leaves=JOINS, samples=samples, before=EMPTY, after=EMPTY)


def test_memory_that_settles_is_flat() -> None:
    found = soaked()
    assert abs(found.kib_per_join) < 0.01
    assert judge(found) == ()


def test_a_small_leak_is_found_however_memory_trembles() -> None:
    found = soaked(leak_kib_per_join=1.0)
    assert 0.95 < found.kib_per_join < 1.05
    by_join, by_minute = judge(found)
    assert by_join.startswith("memory grows by 1.0")
    assert "a join" in by_join
    assert "a minute" in by_minute


def test_what_grows_with_time_alone_is_found() -> None:
    found = replace(soaked(leak_kib_per_join=1.0), joins=10 * JOINS)
    (problem,) = judge(found)
    assert problem.startswith("memory grows by 23")
    assert "a minute" in problem


def minute(*, joins_per_s: int, leak_kib_per_join: float) -> SoakFigures:
    """One whose memory settles over the first 240 joins."""
    samples = []
    for second in range(60):
        joins = joins_per_s * second
        rss = 137_000.0 + 30.0 * min(joins, 240) + leak_kib_per_join * joins
        samples.append(Sample(float(second), rss, 300, 40, 9, 60))
    return SoakFigures(minutes=1.0, joins=60 * joins_per_s, samples=samples, before=EMPTY, after=EMPTY)


def test_people_who_stay_in_memory_are_found_within_a_minute() -> None:
    assert judge(minute(joins_per_s=4, leak_kib_per_join=0.0)) == ()
    assert any("a join" in problem for problem in judge(minute(joins_per_s=4, leak_kib_per_join=90.0)))


def test_a_few_kib_a_join_are_found_within_a_minute_of_many() -> None:
    assert judge(minute(joins_per_s=12, leak_kib_per_join=0.5)) == ()
    assert any("a join" in problem for problem in judge(minute(joins_per_s=12, leak_kib_per_join=8.0)))


def test_each_thing_that_stays_open_has_its_line() -> None:
    found = soaked()
    found.after = replace(EMPTY, tasks=13, sockets=6, descriptors=35, threads=10)
    found.left_behind = {"plane.peers": 1.0, "parley_rooms": 2.0}
    assert judge(found) == (
        "tasks: 12 with nobody there at the beginning, 13 at the end",
        "sockets: 5 with nobody there at the beginning, 6 at the end",
        "descriptors: 33 with nobody there at the beginning, 35 at the end",
        "threads: 9 with nobody there at the beginning, 10 at the end",
        "plane.peers: 1 left behind with nobody there",
        "parley_rooms: 2 left behind with nobody there",
    )


def test_a_run_that_saw_nothing_is_no_good_news() -> None:
    assert judge(SoakFigures(minutes=1.0)) == (
        "memory cannot be judged: 0 samples, 0 joins",
        "the empty server was not looked at before and after",
    )


def test_of_very_many_samples_some_are_written() -> None:
    written = soaked().plain()
    assert 200 <= len(written["samples"]) <= 300
    assert written["samples"][-1]["at_s"] > 3_500
