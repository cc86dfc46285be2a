"""A small RTP packetiser for tests: encoded frames to payloads and packets, one function per payload RFC."""

import struct

from media import av1, h264

MTU = 1100


def rtp(
    payload=b"",
    *,
    seq=1,
    rtp_ts=0,
    ssrc=0x1234,
    payload_type=96,
    marker=False,
    padding=0,
    extension=None,
    csrcs=(),
):
    """One RTP packet as bytes."""
    first = 0x80 | len(csrcs) | (0x20 if padding else 0) | (0x10 if extension is not None else 0)
    out = struct.pack(
        ">BBHII", first, payload_type | (0x80 if marker else 0), seq & 0xFFFF, rtp_ts & 0xFFFFFFFF, ssrc
    )
    out += b"".join(struct.pack(">I", csrc) for csrc in csrcs)
    if extension is not None:
        out += struct.pack(">HH", 0xBEDE, len(extension) // 4) + extension
    out += payload
    if padding:
        out += bytes(padding - 1) + bytes([padding])
    return out


def chunks(data, size=MTU):
    return [data[at : at + size] for at in range(0, len(data), size)]


def vp8(frame, picture_id=0):
    """RFC 7741: extended descriptor with a 15-bit picture id."""
    out = []
    for index, chunk in enumerate(chunks(frame)):
        out.append(
            bytes([0x90 if index == 0 else 0x80, 0x80, 0x80 | picture_id >> 8 & 0x7F, picture_id & 0xFF])
            + chunk
        )
    return out


def vp9(frame, picture_id=0, *, is_keyframe=False):
    """RFC 9628: one spatial layer, non-flexible mode."""
    parts = chunks(frame)
    out = []
    for index, chunk in enumerate(parts):
        first = 0x80 | (0 if is_keyframe else 0x40)
        first |= (0x08 if index == 0 else 0) | (0x04 if index == len(parts) - 1 else 0)
        out.append(bytes([first, 0x80 | picture_id >> 8 & 0x7F, picture_id & 0xFF]) + chunk)
    return out


def annex_b_units(data):
    return [unit for unit in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]


def h264_units(units):
    """RFC 6184 mode 1: small parameter sets in a STAP-A, large units as FU-A, else single."""
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


def h264_frame(data):
    return h264_units(annex_b_units(data))


def obus(data):
    """The units of a temporal unit, without temporal delimiters and without size fields."""
    out = []
    at = 0
    while at < len(data):
        first = data[at]
        header = 2 if first & 4 else 1
        size, content_at = av1._leb128(data, at + header)
        if first >> 3 & 15 != av1.OBU_TEMPORAL_DELIMITER:
            out.append(
                bytes([first & ~2]) + data[at + 1 : at + header] + data[content_at : content_at + size]
            )
        at = content_at + size
    return out


def av1_frame(data, *, is_keyframe=False):
    """One element per packet; units longer than a packet are continued."""
    out = []
    for unit in obus(data):
        parts = chunks(unit)
        for index, part in enumerate(parts):
            header = 0x10 | (0x80 if index else 0) | (0x40 if index < len(parts) - 1 else 0)
            header |= 0x08 if is_keyframe and not out else 0
            out.append(bytes([header]) + part)
    return out


def opus(packet):
    return [packet]


def red(primary, redundant=(), payload_type=111):
    """RFC 2198: `redundant` is [(ts_offset, data), ...], oldest first."""
    heads = b""
    for ts_offset, data in redundant:
        heads += bytes([0x80 | payload_type]) + (ts_offset << 10 | len(data)).to_bytes(3, "big")
    return heads + bytes([payload_type]) + b"".join(data for _, data in redundant) + primary


def video_payloads(codec, data, *, is_keyframe, index=0):
    match codec:
        case "vp8":
            return vp8(data, index & 0x7FFF)
        case "vp9":
            return vp9(data, index & 0x7FFF, is_keyframe=is_keyframe)
        case "h264":
            return h264_frame(data)
        case "av1":
            return av1_frame(data, is_keyframe=is_keyframe)
    raise ValueError(codec)
