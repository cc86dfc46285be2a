"""Encodings that nobody has a use for rest at the publisher, and wake at once."""

from sfu.engine.types import TrackId
from sfu.route.demand import REST_AFTER_S, LayerDemand

TRACK = TrackId(1)
ALL = frozenset({0, 1, 2})
NONE: frozenset[int] = frozenset()


def asked(demand: LayerDemand) -> list[tuple[TrackId, frozenset[int]]]:
    return list(demand.poll())


def test_what_everybody_wants_is_not_asked_for_again() -> None:
    demand = LayerDemand()
    demand.receive(TRACK, 3, ALL, 0.0)
    assert asked(demand) == []
    assert demand.deadline() is None


def test_an_encoding_rests_only_after_a_while() -> None:
    demand = LayerDemand()
    demand.receive(TRACK, 3, frozenset({0, 1}), 0.0)
    assert asked(demand) == []
    demand.tick(REST_AFTER_S - 0.1)
    assert asked(demand) == []
    demand.tick(REST_AFTER_S)
    assert asked(demand) == [(TRACK, {0, 1})]


def test_it_wakes_at_once() -> None:
    demand = LayerDemand()
    demand.receive(TRACK, 3, NONE, 0.0)
    demand.tick(REST_AFTER_S)
    assert asked(demand) == [(TRACK, NONE)]
    demand.receive(TRACK, 3, ALL, 20.0)
    assert asked(demand) == [(TRACK, ALL)]


def test_one_wakes_at_once_while_another_has_still_to_rest() -> None:
    demand = LayerDemand()
    demand.receive(TRACK, 3, frozenset({1, 2}), 0.0)
    demand.tick(REST_AFTER_S)
    assert asked(demand) == [(TRACK, {1, 2})]
    demand.receive(TRACK, 3, frozenset({0, 1}), 10.0)
    assert asked(demand) == [(TRACK, ALL)]
    demand.tick(10.0 + REST_AFTER_S)
    assert asked(demand) == [(TRACK, {0, 1})]


def test_a_use_that_comes_back_in_time_changes_nothing() -> None:
    demand = LayerDemand()
    demand.receive(TRACK, 3, frozenset({2}), 0.0)
    demand.receive(TRACK, 3, ALL, 3.0)
    demand.tick(60.0)
    assert asked(demand) == []
    assert demand.deadline() is None


def test_each_encoding_rests_by_its_own_time() -> None:
    demand = LayerDemand()
    demand.receive(TRACK, 3, frozenset({0, 1}), 0.0)
    demand.receive(TRACK, 3, frozenset({1, 2}), REST_AFTER_S - 0.1)
    demand.tick(REST_AFTER_S)
    assert asked(demand) == []
    assert demand.deadline() == 2 * REST_AFTER_S - 0.1
    demand.tick(2 * REST_AFTER_S)
    assert asked(demand) == [(TRACK, {1, 2})]


def test_a_track_that_ended_is_forgotten() -> None:
    demand = LayerDemand()
    demand.receive(TRACK, 3, NONE, 0.0)
    demand.remove(TRACK)
    demand.tick(60.0)
    assert asked(demand) == []
