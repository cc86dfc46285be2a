"""A small RTP packetiser for tests: encoded frames to payloads and packets, one function per payload RFC."""

import struct

from bench.studio.payloads import annex_b_units, h264_frame, obus, video_payloads, vp8

__all__ = ["annex_b_units", "h264_frame", "obus", "opus", "red", "rtp", "video_payloads", "vp8"]


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


def opus(packet):
    return [packet]


def red(primary, redundant=(), payload_type=111):
    """RFC 2198: `redundant` is [(ts_offset, data), ...], oldest first."""
    heads = b""
    for ts_offset, data in redundant:
        heads += bytes([0x80 | payload_type]) + (ts_offset << 10 | len(data)).to_bytes(3, "big")
    return heads + bytes([payload_type]) + b"".join(data for _, data in redundant) + primary
