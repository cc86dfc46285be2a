"""Who is in a program's picture: its tiles, the names on them, and the chat lines over them."""

from dataclasses import dataclass

import numpy as np

from bench.studio.decoded import share_of_colour
from media.layout import grid
from media.text import render_text
from tests.main_job.cast import CAST, D

_DARK, _GREY = 120, 16
_ALIKE = 0.75


@dataclass(frozen=True)
class Tile:
    """What one tile of the grid shows: `who` is an identity, or None for an anonymous placeholder."""

    who: str | None
    is_named: bool


def tiles(picture):
    """The tiles of a grid of all who take part, in no particular order."""
    height, width, _ = picture.shape
    cut = [picture[r.y : r.y + r.height, r.x : r.x + r.width] for r in grid(len(CAST), width, height)]
    return sorted((_look(tile, _text_px(picture)) for tile in cut), key=lambda tile: str(tile.who))


def expected(named, placeholders):
    """The tiles of a program with these people and so many anonymous placeholders."""
    shown = [Tile(who.identity, is_named=True) for who in named]
    return sorted([*shown, *[Tile(None, is_named=False)] * placeholders], key=lambda tile: str(tile.who))


def likeness_of_line(picture, line):
    """How much some part of the picture, where chat stands, looks like a line of text: 1 is exactly so.

    The correlation of the line with the left of each band of rows, for all bands at once.
    """
    height, width, _ = picture.shape
    size = _text_px(picture)
    text = render_text(line, size, width * 2 // 3).luma.astype(np.float32)
    text -= text.mean()
    rows, columns = text.shape
    left = size // 2 * 2
    grey = picture[height // 2 :, left : left + columns].mean(axis=2, dtype=np.float32)
    products = _over_bands(grey @ text.T, rows)
    sums = _over_bands(np.repeat(grey.sum(axis=1)[:, None], rows, axis=1), rows)
    squares = _over_bands(np.repeat((grey**2).sum(axis=1)[:, None], rows, axis=1), rows)
    spread = squares - sums**2 / text.size
    is_flat = spread < text.size
    scale = np.sqrt(np.where(is_flat, 1, spread) * (text**2).sum())
    return float(np.where(is_flat, 0, products / scale).max())


def _over_bands(by_row, rows):
    """For each band of so many rows, the sum of entry n of its nth row."""
    bands = len(by_row) - rows + 1
    return sum(by_row[row : row + bands, row].astype(np.float64) for row in range(rows))


def _text_px(picture):
    return max(picture.shape[0] // 32, 10)


def _likeness(place, text):
    return float(np.corrcoef(place.ravel(), text.ravel())[0, 1]) if place.std() > 0 else 0.0


def _look(tile, text_px):
    if _is_placeholder(tile):
        return Tile(None, is_named=False)
    who = next((who for who in CAST if share_of_colour(tile, who.colour) > 0.5), None)
    if who is None:
        is_flat = np.median(np.abs(tile.mean(axis=2) - np.median(tile))) < 4
        who = D if is_flat else None
    if who is None:
        return Tile("?", is_named=False)
    text = render_text(who.name, text_px, tile.shape[1]).luma
    place = tile[-text.shape[0] :, : text.shape[1]].mean(axis=2)
    return Tile(who.identity, is_named=_likeness(place, text) > _ALIKE)


def _is_placeholder(tile):
    """A grey figure on darker grey, and nothing bright: neither a name nor anything of a camera."""
    height, width, _ = tile.shape
    grey = tile.mean(axis=2)
    colour = tile.astype(np.int16).max(axis=2) - tile.astype(np.int16).min(axis=2)
    middle = width // 2
    head = grey[int(height * 0.32) : int(height * 0.44), middle - height // 20 : middle + height // 20]
    body = grey[int(height * 0.8) : int(height * 0.95), middle - height // 8 : middle + height // 8]
    corner = grey[height // 20 : height // 5, width // 20 : width // 6]
    stands_out = min(head.mean(), body.mean()) > corner.mean() + 20
    return bool(stands_out and corner.std() < 6 and grey.max() < _DARK and np.median(colour) < _GREY)
