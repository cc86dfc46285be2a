"""Small stills of a rendition for its player: sheets of tiles, WebVTT that says which is when, a poster.

They are made from composed pictures alone, so that nobody is in them who is not in the rendition.
"""

import io
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import BinaryIO, Final

import av
from PIL import Image, ImageStat

from recorder.render.captions import clock

STILLS: Final = "stills.vtt"
POSTER: Final = "poster.jpg"
COLUMNS: Final = 10
ROWS: Final = 10
TILE_WIDTH: Final = 160
POSTER_WIDTH: Final = 640
STILLS_MOST: Final = 400
STEP_LEAST_MS: Final = 2_000
_QUALITY: Final = 78

Written = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens a file of the rendition to be written, by its name."""


class Stills:
    """Takes pictures in rising order of time; `finish` tells the names of the files."""

    def __init__(self, size: tuple[int, int], duration_ms: int, written: Written) -> None:
        """`size` of the rendition; `duration_ms` of it."""
        self._written = written
        self._duration_ms = max(duration_ms, 1)
        self._step_ms = max(self._duration_ms // STILLS_MOST, STEP_LEAST_MS)
        self._tile = _fitted(size, TILE_WIDTH)
        self._poster_size = _fitted(size, min(POSTER_WIDTH, size[0]))
        self._poster: Image.Image | None = None
        self._contrast = -1.0
        self._times: list[int] = []
        self._sheet: Image.Image | None = None
        self._names: list[str] = []

    def wants(self, at_ms: int) -> bool:
        """Whether it is time for a still."""
        return not self._times or at_ms - self._times[-1] >= self._step_ms

    def take(self, at_ms: int, frame: av.VideoFrame) -> None:
        """Keep this picture if it is time for one. Raises: OSError."""
        if not self.wants(at_ms):
            return
        tile = _image(frame, self._tile)
        contrast = ImageStat.Stat(tile.convert("L")).stddev[0]
        if contrast > self._contrast:  # an empty room has the least
            self._poster, self._contrast = _image(frame, self._poster_size), contrast
        place = len(self._times) % (COLUMNS * ROWS)
        if place == 0:
            self._store()
            width, height = self._tile
            self._sheet = Image.new("RGB", (COLUMNS * width, ROWS * height))
        if self._sheet is not None:
            self._sheet.paste(tile, self._corner(len(self._times)))
        self._times.append(at_ms)

    def finish(self) -> tuple[str, ...]:
        """Write what is left; all names, none when no picture came. Raises: OSError."""
        if self._poster is None:
            return ()
        self._store()
        with self._written(STILLS) as file:
            file.write(self._index().encode())
        self._write(POSTER, self._poster)
        return (*self._names, STILLS, POSTER)

    def _index(self) -> str:
        width, height = self._tile
        ends = [*self._times[1:], max(self._duration_ms, self._times[-1] + 1)]
        cues = []
        for number, (start, end) in enumerate(zip(self._times, ends, strict=True)):
            x, y = self._corner(number)
            sheet = self._names[number // (COLUMNS * ROWS)]
            cues.append(f"{clock(start)} --> {clock(end)}\n{sheet}#xywh={x},{y},{width},{height}\n")
        return "WEBVTT\n\n" + "\n".join(cues)

    def _corner(self, number: int) -> tuple[int, int]:
        row, column = divmod(number % (COLUMNS * ROWS), COLUMNS)
        return column * self._tile[0], row * self._tile[1]

    def _store(self) -> None:
        if self._sheet is None:
            return
        width, height = self._tile
        in_it = len(self._times) - len(self._names) * COLUMNS * ROWS
        rows = -(-in_it // COLUMNS)
        name = f"stills-{len(self._names):03d}.jpg"
        self._write(name, self._sheet.crop((0, 0, min(in_it, COLUMNS) * width, rows * height)))
        self._names.append(name)
        self._sheet = None

    def _write(self, name: str, image: Image.Image) -> None:
        # In memory first: Pillow writes past a file object that has a descriptor, and so past its seal.
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", quality=_QUALITY)
        with self._written(name) as file:
            file.write(encoded.getvalue())


def take_all(pictures: Iterable[tuple[int, av.VideoFrame]], stills: Stills) -> tuple[str, ...]:
    """Stills of pictures with their times in milliseconds; the names of the files. Raises: OSError."""
    for at_ms, frame in pictures:
        stills.take(at_ms, frame)
    return stills.finish()


def _fitted(size: tuple[int, int], width: int) -> tuple[int, int]:
    return width, max(width * size[1] // size[0], 2)


def _image(frame: av.VideoFrame, size: tuple[int, int]) -> Image.Image:
    small = frame.reformat(size[0], size[1], "rgb24")
    return Image.fromarray(small.to_ndarray())
