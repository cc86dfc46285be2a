"""The engine's account of layers, as the allocator counts them."""

from sfu.allocate import Layer
from sfu.route.steering import layers_of


def test_simulcast_is_one_spatial_layer_for_each_encoding() -> None:
    rows = [(0, 0, 0, 60, 180), (0, 0, 1, 100, 180), (2, 0, 0, 700, 720), (2, 1, 0, 900, 720)]
    assert layers_of(rows, is_simulcast=True) == (
        Layer(0, 0, 60, 180),
        Layer(0, 1, 100, 180),
        Layer(2, 0, 900, 720),
    )


def test_svc_layers_are_half_as_high_as_the_one_above() -> None:
    rows = [(0, 0, 0, 60, 720), (0, 1, 0, 200, 720), (0, 2, 0, 800, 720)]
    assert [layer.height for layer in layers_of(rows, is_simulcast=False)] == [180, 360, 720]
    assert [layer.spatial for layer in layers_of(rows, is_simulcast=False)] == [0, 1, 2]


def test_unknown_heights_stay_unknown() -> None:
    assert [
        layer.height for layer in layers_of([(0, 0, 0, 60, 0), (0, 1, 0, 90, 0)], is_simulcast=False)
    ] == [0, 0]
