"""RTP packets: a bounds-checked parse, and counters that wrap. PURE.

Source: RFC 3550 section 5.1.
"""

from dataclasses import dataclass


class RtpError(ValueError):
    """The bytes are not one RTP packet."""

    code = "rtp_malformed"

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"RTP packet at byte {offset}: {reason}")
        self.offset = offset
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One packet's header and payload; padding is taken off."""

    payload_type: int
    is_marked: bool
    """The marker bit: for video the last packet of a frame."""
    seq: int
    rtp_ts: int
    ssrc: int
    payload: bytes
    """Empty for a packet of padding only."""


def parse_rtp(data: bytes) -> RtpPacket:
    """Parse one whole packet; sources, extension and padding are checked against its length.

    Raises: RtpError.
    """
    size = len(data)
    if size < 12:
        raise RtpError(0, f"{size} bytes, a header has 12")
    first = data[0]
    if first >> 6 != 2:
        raise RtpError(0, f"version {first >> 6}")
    offset = 12 + 4 * (first & 0x0F)
    if offset > size:
        raise RtpError(12, "contributing sources beyond the end")
    if first & 0x10:
        if offset + 4 > size:
            raise RtpError(offset, "extension header beyond the end")
        offset += 4 + 4 * int.from_bytes(data[offset + 2 : offset + 4], "big")
        if offset > size:
            raise RtpError(12, "extension beyond the end")
    end = size
    if first & 0x20:
        padding = data[-1]
        if not 0 < padding <= size - offset:
            raise RtpError(size - 1, f"padding of {padding} in {size - offset} bytes")
        end -= padding
    return RtpPacket(
        payload_type=data[1] & 0x7F,
        is_marked=data[1] >= 0x80,
        seq=data[2] << 8 | data[3],
        rtp_ts=int.from_bytes(data[4:8], "big"),
        ssrc=int.from_bytes(data[8:12], "big"),
        payload=data[offset:end],
    )


class Unwrapper:
    """Turns a wrapping counter of `bits` bits into one that only its sender's reordering takes backward."""

    __slots__ = ("_half", "_last", "_modulus")

    def __init__(self, bits: int) -> None:
        self._modulus = 1 << bits
        self._half = self._modulus >> 1
        self._last: int | None = None

    def unwrap(self, value: int) -> int:
        """Place a value within half a turn of the newest one. The first stays as it is."""
        if self._last is None:
            self._last = value
            return value
        ahead = (value - self._last) % self._modulus
        if ahead < self._half:
            self._last += ahead
            return self._last
        return self._last + ahead - self._modulus

    def peek(self, value: int) -> int:
        """Place a value without taking it as the newest."""
        if self._last is None:
            return value
        ahead = (value - self._last) % self._modulus
        return self._last + ahead - (0 if ahead < self._half else self._modulus)
