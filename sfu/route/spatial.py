"""The spatial layers inside a video's one encoding (SVC), the upper of which rest while nobody wants them.

The engine tells the height of the largest layer that is sent, and for seconds the rates of layers that have
just ended: which of them are there follows from the height.

PURE: no I/O; time comes in as seconds of any steady clock.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sfu.allocate import Layer

EngineLayer = tuple[int, int, int, int, int]
"""Encoding, spatial and temporal layer, bits a second up to it, height of the encoding's picture."""

RETURNS_WITHIN_S: Final = 3.0
"""A publisher whose picture is still small so long after it was asked for all layers sends no larger one."""

_SAME: Final = 0.9
"""Share of a height that is the same: encoders round to whole blocks."""


@dataclass(slots=True)
class SpatialLayers:
    """What is known of one video's layers, those included that rest."""

    layers: tuple[Layer, ...] = ()
    count: int = 1
    """Spatial layers in all."""
    _height: int = 0
    """Of the largest."""
    _small_until: float = 0.0
    """Until then a smaller picture is what the publisher was asked for, or not yet asked out of."""

    def ask(self, count: int, now: float) -> None:
        """The publisher is asked for so many, from the lowest."""
        if count < self.count:
            self._small_until = math.inf
        elif self._small_until == math.inf:
            self._small_until = now + RETURNS_WITHIN_S

    def receive(self, rows: Sequence[EngineLayer], now: float) -> tuple[Layer, ...]:
        """Take the engine's account; the layers that are sent, and those that are when they are asked for."""
        height = max((height for *_, height in rows), default=0)
        if now >= self._small_until or height == 0 or height >= _SAME * self._height:
            self.count = max((spatial + 1 for _, spatial, *_ in rows), default=1)
            self._height = height
            self.layers = _layers(rows, self.count, height)
            return self.layers
        sent = max(self.count - round(math.log2(self._height / height)), 1)
        fresh = _layers(rows, sent, height)
        present = {layer.spatial for layer in fresh}
        self.layers = fresh + tuple(layer for layer in self.layers if layer.spatial not in present)
        return self.layers


def _layers(rows: Sequence[EngineLayer], count: int, height: int) -> tuple[Layer, ...]:
    """The lowest `count` spatial layers, each half as high as the one above."""
    return tuple(
        Layer(spatial, temporal, bps, height >> (count - 1 - spatial))
        for _, spatial, temporal, bps, _ in rows
        if spatial < count
    )
