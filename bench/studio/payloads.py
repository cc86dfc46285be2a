"""Encoded video frames cut into RTP payloads, one function a payload format. PURE."""

import struct
from collections.abc import Callable
from typing import Final

from media import av1, h264

MTU: Final = 1100


def chunks(data: bytes, size: int = MTU) -> list[bytes]:
    """Pieces of at most `size` bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def vp8(frame: bytes, picture_id: int = 0) -> list[bytes]:
    """An extended descriptor with a 15-bit picture id. Source: RFC 7741 section 4.2."""
    number = bytes([0x80, 0x80 | picture_id >> 8 & 0x7F, picture_id & 0xFF])
    return [bytes([0x80 if at else 0x90]) + number + chunk for at, chunk in enumerate(chunks(frame))]


def vp9(frame: bytes, picture_id: int = 0, *, is_keyframe: bool = False) -> list[bytes]:
    """One spatial layer, non-flexible mode. Source: RFC 9628 section 4.2."""
    parts = chunks(frame)
    out = []
    for index, chunk in enumerate(parts):
        first = 0x80 | (0 if is_keyframe else 0x40)
        first |= (0x08 if index == 0 else 0) | (0x04 if index == len(parts) - 1 else 0)
        out.append(bytes([first, 0x80 | picture_id >> 8 & 0x7F, picture_id & 0xFF]) + chunk)
    return out


def annex_b_units(data: bytes) -> list[bytes]:
    """The NAL units between the start codes."""
    return [unit for unit in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]


def h264_units(units: list[bytes]) -> list[bytes]:
    """Mode 1: parameter sets in a STAP-A, large units as FU-A, else single. Source: RFC 6184 section 5."""
    out = []
    parameters = [unit for unit in units if unit[0] & 0x1F in {h264.NAL_SPS, h264.NAL_PPS}]
    if parameters:
        out.append(bytes([0x78]) + b"".join(struct.pack(">H", len(unit)) + unit for unit in parameters))
    for unit in units:
        if unit in parameters:
            continue
        if len(unit) <= MTU:
            out.append(unit)
            continue
        parts = chunks(unit[1:])
        for index, part in enumerate(parts):
            header = unit[0] & 0x1F | (0x80 if index == 0 else 0) | (0x40 if index == len(parts) - 1 else 0)
            out.append(bytes([unit[0] & 0xE0 | 28, header]) + part)
    return out


def h264_frame(data: bytes) -> list[bytes]:
    """A frame in Annex B."""
    return h264_units(annex_b_units(data))


def obus(data: bytes) -> list[bytes]:
    """The units of a temporal unit, without temporal delimiters and without size fields."""
    out = []
    at = 0
    while at < len(data):
        first = data[at]
        header = 2 if first & 4 else 1
        size, content_at = _leb128(data, at + header)
        if first >> 3 & 15 != av1.OBU_TEMPORAL_DELIMITER:
            content = data[content_at : content_at + size]
            out.append(bytes([first & ~2]) + data[at + 1 : at + header] + content)
        at = content_at + size
    return out


def av1_frame(data: bytes, *, is_keyframe: bool = False) -> list[bytes]:
    """One element a packet; units longer than a packet are continued. Source: AV1 RTP section 4."""
    out: list[bytes] = []
    for unit in obus(data):
        parts = chunks(unit)
        for index, part in enumerate(parts):
            header = 0x10 | (0x80 if index else 0) | (0x40 if index < len(parts) - 1 else 0)
            header |= 0x08 if is_keyframe and not out else 0
            out.append(bytes([header]) + part)
    return out


def video_payloads(codec: str, data: bytes, *, is_keyframe: bool, index: int = 0) -> list[bytes]:
    """The payloads of a frame; `index` counts frames.

    Raises:
        KeyError: another codec.
    """
    number = index & 0x7FFF
    cut: dict[str, Callable[[], list[bytes]]] = {
        "vp8": lambda: vp8(data, number),
        "vp9": lambda: vp9(data, number, is_keyframe=is_keyframe),
        "h264": lambda: h264_frame(data),
        "av1": lambda: av1_frame(data, is_keyframe=is_keyframe),
    }
    return cut[codec]()


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """A length as AV1 writes it, and where it ends. Source: AV1 section 4.10.5."""
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1
