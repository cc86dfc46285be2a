"""The few RTP, RTCP and STUN bytes that the in-memory engine reads and writes.

PURE: no I/O. Not for the live path: the core has its own.
"""

import struct
from dataclasses import dataclass, field

_ONE_BYTE = 0xBEDE


@dataclass(slots=True)
class FakeRtp:
    """One RTP packet, its extensions by id."""

    pt: int
    seq: int
    rtp_ts: int
    ssrc: int
    payload: bytes
    is_marker: bool = False
    extensions: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes) -> "FakeRtp | None":
        """Read a packet; None when it is not RTP or cut short."""
        if len(data) < 12 or data[0] >> 6 != 2:
            return None
        second, seq, rtp_ts, ssrc = struct.unpack_from("!BHII", data, 1)
        offset = 12 + 4 * (data[0] & 0x0F)
        extensions: dict[int, bytes] = {}
        if data[0] & 0x10:
            if len(data) < offset + 4:
                return None
            profile, words = struct.unpack_from("!HH", data, offset)
            offset += 4
            if profile == _ONE_BYTE:
                extensions = _one_byte(data[offset : offset + 4 * words])
            offset += 4 * words
        if len(data) < offset:
            return None
        return cls(second & 0x7F, seq, rtp_ts, ssrc, data[offset:], bool(second & 0x80), extensions)

    def write(self) -> bytes:
        """The packet as bytes, extensions in the one-byte form (RFC 8285 section 4.2)."""
        body = b"".join(bytes([i << 4 | len(v) - 1]) + v for i, v in sorted(self.extensions.items()))
        body += bytes(-len(body) % 4)
        head = struct.pack(
            "!BBHII",
            0x90 if body else 0x80,
            (0x80 if self.is_marker else 0) | self.pt,
            self.seq,
            self.rtp_ts,
            self.ssrc,
        )
        extension = struct.pack("!HH", _ONE_BYTE, len(body) // 4) + body if body else b""
        return head + extension + self.payload


def _one_byte(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        number, size = data[at] >> 4, (data[at] & 0x0F) + 1
        if number == 0:  # padding
            at += 1
            continue
        if number == 15 or at + 1 + size > len(data):
            break
        found[number] = data[at + 1 : at + 1 + size]
        at += 1 + size
    return found


def keyframe_requests(rtcp: bytes) -> list[int]:
    """The media ssrcs that PLI and FIR in a compound packet name (RFC 4585 section 6.3.1, RFC 5104 4.3.1)."""
    found = []
    at = 0
    while at + 12 <= len(rtcp):
        size = 4 * (1 + struct.unpack_from("!H", rtcp, at + 2)[0])
        packet = rtcp[at : at + size]
        if packet[1] == 206 and packet[0] & 0x1F == 1:
            found.append(struct.unpack_from("!I", packet, 8)[0])
        elif packet[1] == 206 and packet[0] & 0x1F == 4:
            found += [struct.unpack_from("!I", packet, n)[0] for n in range(12, len(packet) - 7, 8)]
        at += size
    return found


def sender_report(rtcp: bytes) -> tuple[int, int, int, int] | None:
    """(ssrc, ntp, rtp_ts, packet_count) of a leading SR (RFC 3550 section 6.4.1)."""
    if len(rtcp) < 28 or rtcp[1] != 200:
        return None
    ssrc, ntp, rtp_ts, packets = struct.unpack_from("!IQII", rtcp, 4)
    return ssrc, ntp, rtp_ts, packets


def picture_loss(media_ssrc: int) -> bytes:
    """A PLI behind the empty receiver report that a compound packet needs."""
    return struct.pack("!BBHI", 0x80, 201, 1, 1) + struct.pack("!BBHII", 0x81, 206, 2, 1, media_ssrc)


def stun_local_ufrag(data: bytes) -> str | None:
    """The first half of USERNAME in a STUN message; None without one (RFC 8489 section 14.3)."""
    if len(data) < 20 or data[4:8] != b"\x21\x12\xa4\x42":
        return None
    at = 20
    while at + 4 <= len(data):
        kind, size = struct.unpack_from("!HH", data, at)
        if kind == 0x0006:
            local, colon, _ = data[at + 4 : at + 4 + size].partition(b":")
            return local.decode("ascii", "replace") if colon else None
        at += 4 + size + (-size % 4)
    return None
