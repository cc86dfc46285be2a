"""Fuzz target: an uploaded logo: any bytes, and a whole file around any pixels."""

import zlib

from media.logo import parse_logo
from media.png import PNG_MAX_PX, PngError, check_png
from tests.fuzz import harness

_HEIGHT = 360


def one_input(data: bytes) -> None:
    _judge(data)
    if len(data) > 5:
        _judge(_whole(data[0] % 64, data[1] % 64, data[2:5], data[5:]))


def _judge(data: bytes) -> None:
    try:
        width, height = check_png(data)
    except PngError:
        return
    if not (0 < width <= PNG_MAX_PX and 0 < height <= PNG_MAX_PX):
        raise AssertionError(f"accepted {width} x {height}")
    try:
        logo = parse_logo(data, _HEIGHT)
    except PngError:
        return
    if logo.y.shape != logo.alpha.shape or logo.y.shape != (2 * logo.u.shape[0], 2 * logo.u.shape[1]):
        raise AssertionError("planes that do not fit each other")


def _whole(width: int, height: int, kind: bytes, pixels: bytes) -> bytes:
    """A file whose check sums, sizes and stream are right for that depth and colour."""
    depth, colour, interlace = 1 << kind[0] % 5, kind[1] % 7, kind[2] % 2
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    size = height * (1 + (width * depth * channels + 7) // 8)
    rows = (pixels * (size // len(pixels) + 1))[:size]
    header = width.to_bytes(4) + height.to_bytes(4) + bytes([depth, colour, 0, 0, interlace])
    palette = _chunk(b"PLTE", pixels[: len(pixels) // 3 * 3][:768]) if colour == 3 else b""
    body = _chunk(b"IDAT", zlib.compress(rows, 1))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + palette + body + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


if __name__ == "__main__":
    harness.run(one_input)
