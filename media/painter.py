"""Draws a program's picture: seats with what each shows, names, chat lines and a logo, in one layout."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import av
from av.video.reformatter import VideoReformatter

from media.canvas import Canvas, Tile, scale
from media.layout import Rect, arrange
from media.logo import Logo
from media.text import render_text

Corner = Literal["top_left", "top_right", "bottom_left", "bottom_right"]
CHAT_LINES: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a picture is arranged and what is written on it."""

    layout: str = "grid"
    has_names: bool = True
    has_chat: bool = True
    logo: Logo | None = None
    corner: Corner = "top_right"


@dataclass(frozen=True, slots=True, eq=False)
class Seat:
    """One place of a picture. Without a frame it shows the anonymous placeholder."""

    key: Hashable
    """The same for the same source in picture after picture."""
    frame: av.VideoFrame | None = None
    name: str | None = None
    is_screen: bool = False


class _Scaled:
    """The newest picture of one seat, scaled to its place once."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._of: tuple[av.VideoFrame, Rect] | None = None
        self._tile: Tile | None = None

    def tile(self, frame: av.VideoFrame, rect: Rect) -> Tile:
        if self._tile is None or self._of is None or self._of[0] is not frame or self._of[1] != rect:
            self._tile = scale(frame, rect, self._reformatter)
            self._of = (frame, rect)
        return self._tile


class Painter:
    """Paints one canvas again and again. What a seat shows is forgotten with the seat."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self._scaled: dict[Hashable, _Scaled] = {}
        self._label_px = max(canvas.height // 32, 10)

    def paint(self, seats: Sequence[Seat], lines: Sequence[str], look: Look) -> int:
        """Paints the picture; `seats` has shared screens first. Returns how many seats found a place."""
        canvas = self.canvas
        canvas.clear()
        screens = sum(seat.is_screen for seat in seats)
        rects = arrange(look.layout, screens, len(seats) - screens, canvas.width, canvas.height)
        shown = seats[: len(rects)]
        for key in self._scaled.keys() - {seat.key for seat in shown if seat.frame is not None}:
            del self._scaled[key]
        for seat, rect in zip(shown, rects, strict=True):
            self._seat(seat, rect, look)
        if look.has_chat:
            self._chat(lines)
        if look.logo is not None:
            self._logo(look.logo, look.corner)
        return len(shown)

    def forget(self) -> None:
        """Forgets every picture that it has scaled."""
        self._scaled.clear()
        self.canvas.clear()

    def _seat(self, seat: Seat, rect: Rect, look: Look) -> None:
        if seat.frame is None:
            self.canvas.draw_placeholder(rect)
        else:
            self.canvas.draw(self._scaled.setdefault(seat.key, _Scaled()).tile(seat.frame, rect))
        if seat.name is not None and look.has_names:
            label = render_text(seat.name, self._label_px, rect.width)
            self.canvas.draw_text(label, rect.x, rect.y + rect.height - label.luma.shape[0])

    def _chat(self, lines: Sequence[str]) -> None:
        size = self._label_px
        bottom = self.canvas.height - 2 * size
        for line in reversed(lines[-CHAT_LINES:]):
            picture = render_text(line, size, self.canvas.width * 2 // 3)
            bottom -= picture.luma.shape[0] + 2
            self.canvas.draw_text(picture, size, bottom)

    def _logo(self, logo: Logo, corner: Corner) -> None:
        height, width = logo.y.shape
        x = self._label_px if corner.endswith("left") else self.canvas.width - width - self._label_px
        y = self._label_px if corner.startswith("top") else self.canvas.height - height - self._label_px
        self.canvas.draw_logo(logo, max(x, 0), max(y, 0))
