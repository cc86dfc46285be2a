"""Encodings that nobody has a use for rest at the publisher, and wake at once."""

from sfu.allocate import BEST
from sfu.engine.types import TrackId
from sfu.route.demand import REST_AFTER_S, LayerDemand

TRACK = TrackId(1)


def asked(demand: LayerDemand) -> list[tuple[TrackId, int]]:
    return list(demand.poll())


def test_what_everybody_wants_is_not_asked_for_again() -> None:
    demand = LayerDemand()
    demand.receive(TRACK, 3, [BEST], 0.0)
    assert asked(demand) == []
    assert demand.deadline() is None


def test_an_encoding_rests_only_after_a_while() -> None:
    demand = LayerDemand()
    demand.receive(TRACK, 3, [0, 1], 0.0)
    assert asked(demand) == []
    demand.tick(REST_AFTER_S - 0.1)
    assert asked(demand) == []
    demand.tick(REST_AFTER_S)
    assert asked(demand) == [(TRACK, 2)]


def test_it_wakes_at_once() -> None:
    demand = LayerDemand()
    demand.receive(TRACK, 3, [None], 0.0)
    demand.tick(REST_AFTER_S)
    assert asked(demand) == [(TRACK, 0)]
    demand.receive(TRACK, 3, [None, 2], 20.0)
    assert asked(demand) == [(TRACK, 3)]


def test_a_use_that_comes_back_in_time_changes_nothing() -> None:
    demand = LayerDemand()
    demand.receive(TRACK, 2, [0], 0.0)
    demand.receive(TRACK, 2, [BEST], 3.0)
    demand.tick(60.0)
    assert asked(demand) == []
    assert demand.deadline() is None


def test_a_track_that_ended_is_forgotten() -> None:
    demand = LayerDemand()
    demand.receive(TRACK, 2, [], 0.0)
    demand.remove(TRACK)
    demand.tick(60.0)
    assert asked(demand) == []
