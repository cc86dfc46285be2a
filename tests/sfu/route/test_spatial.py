"""Spatial layers inside one encoding are known while they rest, by the height of what is sent."""

from sfu.route.spatial import RETURNS_WITHIN_S, SpatialLayers

ALL = [(0, 0, 0, 60, 720), (0, 1, 0, 200, 720), (0, 2, 0, 800, 720)]
LOWEST = [(0, 0, 0, 70, 180), (0, 1, 0, 90, 180), (0, 2, 0, 100, 180)]
"""Of the upper ones nothing comes any more; their rates fade."""


def known(layers: SpatialLayers) -> list[tuple[int, int, int]]:
    return sorted((layer.spatial, layer.height, layer.bps) for layer in layers.layers)


def asked(count: int) -> SpatialLayers:
    """Three layers, of which so many were asked for."""
    layers = SpatialLayers()
    layers.receive(ALL, 0.0)
    layers.ask(count, 1.0)
    return layers


def test_each_is_half_as_high_as_the_one_above() -> None:
    assert known(asked(3)) == [(0, 180, 60), (1, 360, 200), (2, 720, 800)]


def test_unknown_heights_stay_unknown() -> None:
    layers = SpatialLayers()
    layers.receive([(0, 0, 0, 60, 0), (0, 1, 0, 90, 0)], 0.0)
    assert known(layers) == [(0, 0, 60), (1, 0, 90)]


def test_what_rests_is_remembered_and_what_fades_does_not_count() -> None:
    layers = asked(1)
    layers.receive(LOWEST, 2.0)
    assert known(layers) == [(0, 180, 70), (1, 360, 200), (2, 720, 800)]
    assert layers.count == 3


def test_a_publisher_that_has_not_yet_become_smaller_sends_all() -> None:
    layers = asked(1)
    layers.receive([(0, 0, 0, 61, 720), (0, 1, 0, 201, 720), (0, 2, 0, 801, 720)], 2.0)
    assert known(layers) == [(0, 180, 61), (1, 360, 201), (2, 720, 801)]


def test_of_two_that_are_asked_for_one_is_not_taken_for_the_other() -> None:
    layers = asked(2)
    layers.receive(LOWEST, 2.0)
    assert known(layers)[0] == (0, 180, 70)
    layers.receive([(0, 0, 0, 70, 360), (0, 1, 0, 210, 360)], 3.0)
    assert known(layers) == [(0, 180, 70), (1, 360, 210), (2, 720, 800)]


def test_one_that_stays_small_sends_no_more_than_that() -> None:
    layers = asked(1)
    layers.receive(LOWEST, 2.0)
    layers.ask(3, 3.0)
    layers.receive(LOWEST[:1], 3.0 + RETURNS_WITHIN_S - 0.1)
    assert known(layers) == [(0, 180, 70), (1, 360, 200), (2, 720, 800)]
    layers.receive(LOWEST[:1], 3.0 + RETURNS_WITHIN_S)
    assert known(layers) == [(0, 180, 70)]


def test_a_camera_that_became_smaller_by_itself_has_all_its_layers() -> None:
    layers = asked(3)
    layers.receive([(0, 0, 0, 60, 360), (0, 1, 0, 200, 360), (0, 2, 0, 300, 360)], 2.0)
    assert known(layers) == [(0, 90, 60), (1, 180, 200), (2, 360, 300)]
