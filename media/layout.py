"""Where each picture goes on a program's canvas. PURE.

Coordinates are pixels from the top left; all are even, since chroma planes have half the resolution.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LAYOUTS: Final = ("grid", "speaker", "single", "screen")
"""`grid`: everyone alike. `speaker`: who speaks is large. `single`: one person. `screen`: what is shared with
who speaks beside it. A shared screen takes the large place in all but `single`."""
GRID_MOST: Final = 12
STRIP_MOST: Final = 5
_GAP_PX: Final = 4


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle of the canvas, in pixels."""

    x: int
    y: int
    width: int
    height: int


def grid(count: int, width: int, height: int, *, aspect: float = 16 / 9) -> tuple[Rect, ...]:
    """Equal tiles for `count` pictures: as large as the canvas allows, rows centred, in reading order."""
    if count <= 0:
        return ()
    columns = max(range(1, count + 1), key=lambda n: (_tile_width(n, count, width, height, aspect), -n))
    rows = math.ceil(count / columns)
    tile_w = _tile_width(columns, count, width, height, aspect)
    tile_h = _even(tile_w / aspect)
    top = _even((height - rows * tile_h - (rows - 1) * _GAP_PX) / 2)
    rects = []
    for index in range(count):
        row, column = divmod(index, columns)
        in_row = min(columns, count - row * columns)
        left = _even((width - in_row * tile_w - (in_row - 1) * _GAP_PX) / 2)
        rects.append(Rect(left + column * (tile_w + _GAP_PX), top + row * (tile_h + _GAP_PX), tile_w, tile_h))
    return tuple(rects)


def beside(count: int, width: int, height: int) -> tuple[Rect, ...]:
    """One large picture with up to `count - 1` small ones in a column at its right: speaker, screen share."""
    if count <= 1:
        return (Rect(0, 0, _even(width), _even(height)),)[:count]
    strip = _even(width / 5)
    main = Rect(0, 0, _even(width - strip - _GAP_PX), _even(height))
    small = count - 1
    tile_h = min(_even(strip * 9 / 16), _even((height - (small - 1) * _GAP_PX) / small))
    return (main, *(Rect(width - strip, i * (tile_h + _GAP_PX), strip, tile_h) for i in range(small)))


def fit(source: tuple[int, int], into: Rect) -> Rect:
    """The largest rectangle of the source's shape inside `into`, centred: nothing of the picture is lost."""
    source_w, source_h = source
    scale = min(into.width / source_w, into.height / source_h)
    width = min(max(_even(source_w * scale), 2), into.width)
    height = min(max(_even(source_h * scale), 2), into.height)
    return Rect(
        into.x + _even((into.width - width) / 2), into.y + _even((into.height - height) / 2), width, height
    )


def with_speaker(width: int, height: int) -> tuple[Rect, ...]:
    """A shared screen, as large as it goes, and the one who speaks in the upper corner at its right."""
    strip = _even(width / 4)
    main = Rect(0, 0, _even(width - strip - _GAP_PX), _even(height))
    return main, Rect(width - strip, 0, strip, min(_even(strip * 9 / 16), _even(height)))


def arrange(layout: str, screens: int, people: int, width: int, height: int) -> Sequence[Rect]:
    """Where the first pictures go: shared screens first, then people; who gets no place is not shown.

    Raises:
        ValueError: no layout of that name.
    """
    match layout:
        case "single":
            return beside(min(people, 1), width, height)
        case "grid" if screens:
            return beside(min(screens + people, STRIP_MOST + 1), width, height)
        case "grid":
            return grid(min(people, GRID_MOST), width, height)
        case "speaker" | "screen" if screens:
            return with_speaker(width, height)[: 1 + min(people, 1)] if people else beside(1, width, height)
        case "speaker" | "screen":
            return beside(min(people, STRIP_MOST + 1), width, height)
        case _:
            raise ValueError(f"no layout is called {layout!r}: use {', '.join(LAYOUTS)}")


def _tile_width(columns: int, count: int, width: int, height: int, aspect: float) -> int:
    rows = math.ceil(count / columns)
    by_width = (width - (columns - 1) * _GAP_PX) / columns
    by_height = (height - (rows - 1) * _GAP_PX) / rows * aspect
    return max(_even(min(by_width, by_height)), 2)


def _even(value: float) -> int:
    return int(value) // 2 * 2
