"""One picture made of many: planes of YUV 4:2:0 that tiles, names and lines are drawn on."""

import functools
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from media.layout import Rect, fit
from media.text import TextPicture

Plane = NDArray[np.uint8]

_BACKGROUND: Final = (24, 130, 126)
_TILE: Final = (44, 130, 126)
_FIGURE: Final = (84, 130, 126)


@dataclass(frozen=True, eq=False, slots=True)
class Tile:
    """A picture scaled to its place; planes are (height, width), chroma half of that each way."""

    rect: Rect
    y: Plane
    u: Plane
    v: Plane


def scale(frame: av.VideoFrame, into: Rect) -> Tile:
    """Scales a decoded frame, whole, into a rectangle of the canvas."""
    rect = fit((frame.width, frame.height), into)
    small = frame.reformat(rect.width, rect.height, format="yuv420p")
    data = small.to_ndarray().astype(np.uint8, copy=False)
    return Tile(rect, *_planes(data, rect.width, rect.height))


class Canvas:
    """A canvas of even width and height, drawn anew for each frame of a program."""

    def __init__(self, width: int, height: int) -> None:
        if width % 2 or height % 2 or width <= 0 or height <= 0:
            raise ValueError(f"a canvas of {width} x {height}: both must be even and positive")
        self.width = width
        self.height = height
        self._data = np.empty((height * 3 // 2, width), dtype=np.uint8)
        self._y, self._u, self._v = _planes(self._data, width, height)
        self.clear()

    def clear(self) -> None:
        """Fills the canvas with the background."""
        for plane, value in zip((self._y, self._u, self._v), _BACKGROUND, strict=True):
            plane.fill(value)

    def draw(self, tile: Tile) -> None:
        """Puts a scaled picture in its place."""
        rect, half = tile.rect, _half(tile.rect)
        self._y[_area(rect)] = tile.y
        self._u[_area(half)] = tile.u
        self._v[_area(half)] = tile.v

    def draw_placeholder(self, rect: Rect) -> None:
        """Puts an anonymous figure in a tile: it stands for anyone, and says nothing of whom."""
        self.draw(_placeholder(rect))

    def draw_text(self, text: TextPicture, x: int, y: int) -> None:
        """Lays a text over what is there; what would stand outside the canvas is left out."""
        x, y = x // 2 * 2, y // 2 * 2
        height = min(text.luma.shape[0], self.height - y)
        width = min(text.luma.shape[1], self.width - x)
        if x < 0 or y < 0 or height <= 0 or width <= 0:
            return
        rect = Rect(x, y, width, height)
        alpha = text.alpha[:height, :width].astype(np.uint16)
        _blend(self._y[_area(rect)], text.luma[:height, :width], alpha)
        half, small = _half(rect), alpha[::2, ::2][: height // 2, : width // 2]
        neutral = np.full(small.shape, 128, dtype=np.uint8)
        _blend(self._u[_area(half)], neutral, small)
        _blend(self._v[_area(half)], neutral, small)

    def to_frame(self) -> av.VideoFrame:
        """A frame with a copy of the canvas; the caller sets its time."""
        return av.VideoFrame.from_ndarray(self._data, format="yuv420p")


def _planes(data: NDArray[np.uint8], width: int, height: int) -> tuple[Plane, Plane, Plane]:
    flat = data.reshape(-1)
    luma, chroma = width * height, width * height // 4
    shape = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(shape),
        flat[luma + chroma : luma + 2 * chroma].reshape(shape),
    )


def _half(rect: Rect) -> Rect:
    return Rect(rect.x // 2, rect.y // 2, rect.width // 2, rect.height // 2)


def _area(rect: Rect) -> tuple[slice, slice]:
    return slice(rect.y, rect.y + rect.height), slice(rect.x, rect.x + rect.width)


def _blend(below: Plane, above: Plane, alpha: NDArray[np.uint16]) -> None:
    mixed = below * (255 - alpha) + above * alpha
    below[:] = (mixed // 255).astype(np.uint8)


@functools.lru_cache(maxsize=32)
def _placeholder(rect: Rect) -> Tile:
    rows = np.arange(rect.height, dtype=np.float32).reshape(-1, 1)
    across = np.arange(rect.width, dtype=np.float32) - rect.width / 2
    head = (across / (rect.height * 0.15)) ** 2 + (
        (rows - rect.height * 0.38) / (rect.height * 0.15)
    ) ** 2 < 1
    body = (across / (rect.height * 0.3)) ** 2 + ((rows - rect.height * 0.92) / (rect.height * 0.34)) ** 2 < 1
    figure = head | body
    small = figure[::2, ::2]
    y, u, v = (
        np.where(mask, np.uint8(inside), np.uint8(outside))
        for mask, inside, outside in zip((figure, small, small), _FIGURE, _TILE, strict=True)
    )
    return Tile(rect, y, u, v)
