"""Judges an uploaded PNG without drawing it: whole, small enough, and what its header says. PURE.

Source: W3C PNG (Third Edition) sections 5 and 11.2.
"""

import zlib
from typing import Final

PNG_MAX_BYTES: Final = 256 * 1024
PNG_MAX_PX: Final = 1024
"""Of each side."""
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS: Final = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}


class PngError(ValueError):
    """What was uploaded is no PNG that can be used; the text says what one is."""

    code = "unprocessable"


def check_png(data: bytes) -> tuple[int, int]:
    """The width and height of a whole PNG.

    Raises:
        PngError: it has more than PNG_MAX_BYTES or PNG_MAX_PX a side, is damaged, interlaced or no PNG.
    """
    if len(data) > PNG_MAX_BYTES:
        raise PngError(f"the picture has {len(data)} bytes: {PNG_MAX_BYTES} at most")
    if not data.startswith(_SIGNATURE):
        raise PngError("the picture must be a PNG file")
    chunks = _chunks(data)
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13 or chunks[-1][0] != b"IEND":
        raise PngError("the picture is damaged: its header or its end is missing")
    header = chunks[0][1]
    width, height = int.from_bytes(header[0:4], "big"), int.from_bytes(header[4:8], "big")
    depth, colour, interlace = header[8], header[9], header[12]
    if not (0 < width <= PNG_MAX_PX and 0 < height <= PNG_MAX_PX):
        raise PngError(f"the picture has {width} x {height} pixels: {PNG_MAX_PX} a side at most")
    if depth not in _DEPTHS.get(colour, set()) or header[10] or header[11] or interlace:
        raise PngError("the picture's colours cannot be read: save it as a plain PNG, not interlaced")
    expected = height * (1 + (width * depth * _CHANNELS[colour] + 7) // 8)
    if _inflated(b"".join(body for kind, body in chunks if kind == b"IDAT"), expected) != expected:
        raise PngError("the picture is damaged: pixels are missing")
    return width, height


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(_SIGNATURE)
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        check = data[at + 8 + length : at + 12 + length]
        if len(check) != 4 or zlib.crc32(kind + body) != int.from_bytes(check, "big"):
            raise PngError("the picture is damaged: a part of it does not match its check sum")
        found.append((kind, body))
        at += 12 + length
    return found


def _inflated(data: bytes, most: int) -> int:
    """How many bytes come out, counted to just above `most`."""
    try:
        return len(zlib.decompressobj().decompress(data, most + 1))
    except zlib.error as error:
        raise PngError("the picture is damaged: it cannot be unpacked") from error
