"""One picture made of many: planes of YUV 4:2:0 that tiles, names and lines are drawn on."""

import functools
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from media.layout import Rect, fit
from media.logo import Logo
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


def scale(frame: av.VideoFrame, into: Rect, reformatter: VideoReformatter | None = None) -> Tile:
    """Scales a decoded frame, whole, into a rectangle of the canvas.

    `reformatter`: one for each source, so that the scaler is set up once for each size.
    """
    rect = fit((frame.width, frame.height), into)
    small = (reformatter or VideoReformatter()).reformat(
        frame, rect.width, rect.height, "yuv420p", interpolation=Interpolation.FAST_BILINEAR
    )
    return Tile(rect, *planes_of(small))


def planes_of(frame: av.VideoFrame) -> tuple[Plane, Plane, Plane]:
    """The planes of a YUV 4:2:0 frame, without a copy; they keep its memory alive."""
    y, u, v = (
        np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)[
            : plane.height, : plane.width
        ]
        for plane in frame.planes
    )
    return y, u, v


class Canvas:
    """A canvas of even width and height, drawn anew for each frame of a program.

    Each `clear` begins a frame of its own: what `to_frame` gave before stays as it is.
    """

    def __init__(self, width: int, height: int) -> None:
        if width % 2 or height % 2 or width <= 0 or height <= 0:
            raise ValueError(f"a canvas of {width} x {height}: both must be even and positive")
        self.width = width
        self.height = height
        self.clear()

    def clear(self) -> None:
        """Goes on with another frame, filled with the background."""
        self._frame = av.VideoFrame(self.width, self.height, "yuv420p")
        self._y, self._u, self._v = planes_of(self._frame)
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
        half = (text.luma.shape[0] // 2, text.luma.shape[1] // 2)
        neutral = np.full(half, 128, dtype=np.uint8)
        self._lay(x, y, text.luma, neutral, neutral, text.alpha)

    def draw_logo(self, logo: Logo, x: int, y: int) -> None:
        """Lays a logo over what is there; what would stand outside the canvas is left out."""
        self._lay(x, y, logo.y, logo.u, logo.v, logo.alpha)

    def to_frame(self) -> av.VideoFrame:
        """The frame as it is drawn; the caller sets its time."""
        return self._frame

    def _lay(self, x: int, y: int, luma: Plane, blue: Plane, red: Plane, opacity: Plane) -> None:
        x, y = x // 2 * 2, y // 2 * 2
        height = min(luma.shape[0], self.height - y)
        width = min(luma.shape[1], self.width - x)
        if x < 0 or y < 0 or height <= 0 or width <= 0:
            return
        rect = Rect(x, y, width, height)
        alpha = opacity[:height, :width].astype(np.uint16)
        _blend(self._y[_area(rect)], luma[:height, :width], alpha)
        half, small = _half(rect), alpha[::2, ::2][: height // 2, : width // 2]
        _blend(self._u[_area(half)], blue[: height // 2, : width // 2], small)
        _blend(self._v[_area(half)], red[: height // 2, : width // 2], small)


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
