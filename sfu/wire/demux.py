"""What a datagram is, by its first byte; for Python's own ends of a connection (the core has its own). PURE.

Source: RFC 7983 section 7.
"""

from __future__ import annotations

from enum import Enum, auto

__all__ = ["DatagramKind", "classify"]


class DatagramKind(Enum):
    """The protocols that share one port."""

    STUN = auto()
    DTLS = auto()
    RTP = auto()
    RTCP = auto()
    UNKNOWN = auto()


def classify(data: bytes) -> DatagramKind:
    """Name the protocol of one datagram of any length, empty included."""
    if len(data) < 4:
        return DatagramKind.UNKNOWN
    first = data[0]
    if first < 4:
        return DatagramKind.STUN if len(data) >= 20 else DatagramKind.UNKNOWN
    if 20 <= first <= 63:
        return DatagramKind.DTLS if len(data) >= 13 else DatagramKind.UNKNOWN
    if 128 <= first <= 191:
        # RFC 5761 section 4: packet types 192-223 on a multiplexed port are RTCP.
        return DatagramKind.RTCP if 192 <= data[1] <= 223 else DatagramKind.RTP
    return DatagramKind.UNKNOWN
