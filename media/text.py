"""Short texts as pictures: names under tiles, chat lines over a program."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TEXT_MAX_CHARACTERS: Final = 200
_FONTS: Final = (
    Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    Path("/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf"),
)


@dataclass(frozen=True, eq=False, slots=True)
class TextPicture:
    """A text on a dark, translucent ground; shapes (height, width), both even."""

    luma: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    """0: the picture below shows; 255: it is covered."""


@functools.lru_cache(maxsize=256)
def render_text(text: str, size_px: int, max_width_px: int) -> TextPicture:
    """Draws one line, cut with an ellipsis at `max_width_px`; the last 256 texts are remembered."""
    font = _font(size_px)
    shown = _cut(text[:TEXT_MAX_CHARACTERS], font, max_width_px - size_px)
    pad = max(size_px // 3, 2)
    width = int(font.getlength(shown)) + 2 * pad
    height = size_px + 2 * (pad // 2) + pad // 2
    width, height = min(width + width % 2, max_width_px // 2 * 2), height + height % 2
    picture = Image.new("L", (width, height), 0)
    ImageDraw.Draw(picture).text((pad, height / 2), shown, fill=255, font=font, anchor="lm")
    ink = np.asarray(picture, dtype=np.uint8)
    alpha = np.maximum(ink, np.uint8(150))
    luma = np.maximum(ink, np.uint8(16))
    return TextPicture(luma, alpha)


def _cut(text: str, font: ImageFont.FreeTypeFont, width_px: int) -> str:
    if font.getlength(text) <= width_px:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle] + "…") <= width_px:
            low = middle
        else:
            high = middle - 1
    return text[:low] + "…"


@functools.lru_cache(maxsize=16)
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    for path in _FONTS:
        if path.exists():
            return ImageFont.truetype(str(path), size_px)
    font = ImageFont.load_default(size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType: no text can be drawn")
    return font
