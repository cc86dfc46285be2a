"""A logo for a program's corner, from a PNG that somebody uploaded."""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from media.png import PngError, check_png

_SHARE_OF_HEIGHT: Final = 8
"""A logo is drawn no higher than this part of the canvas, and twice as wide."""


@dataclass(frozen=True, eq=False, slots=True)
class Logo:
    """Planes of YUV 4:2:0 with their opacity; even sizes."""

    y: NDArray[np.uint8]
    u: NDArray[np.uint8]
    v: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    """Of the luma plane."""


def parse_logo(data: bytes, canvas_height: int) -> Logo:
    """The logo as it is drawn on a canvas of that height.

    Raises:
        PngError: no PNG, too many bytes or pixels, or damaged.
    """
    check_png(data)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            rgba = picture.convert("RGBA")
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's, for damaged files
        raise PngError("the picture is damaged") from error
    most = max(canvas_height // _SHARE_OF_HEIGHT, 2)
    scale = min(1.0, most / rgba.height, 2 * most / rgba.width)
    size = (_even(rgba.width * scale), _even(rgba.height * scale))
    pixels = np.asarray(rgba.resize(size, Image.Resampling.LANCZOS), dtype=np.float32)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    # BT.601, limited range: what decoded pictures come in.
    luma = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    blue_chroma = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    red_chroma = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    return Logo(
        luma.astype(np.uint8),
        _halved(blue_chroma),
        _halved(red_chroma),
        pixels[..., 3].astype(np.uint8),
    )


def _halved(plane: NDArray[np.float32]) -> NDArray[np.uint8]:
    height, width = plane.shape
    blocks = plane.reshape(height // 2, 2, width // 2, 2)
    halved: NDArray[np.uint8] = blocks.mean(axis=(1, 3)).astype(np.uint8)
    return halved


def _even(value: float) -> int:
    return max(int(value) // 2 * 2, 2)
