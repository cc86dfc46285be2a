"""What a viewer tells a sender of its path: transport-wide feedback, or an estimate of its own (REMB).

PURE: numbers and times in, RTCP out. Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1,
draft-alvestrand-rmcat-remb-03 section 2.2.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

_TICKS_PER_S = 4000
"""Arrival times are told in steps of 250 us; the reference time in steps of 64 ms."""
_TICKS_PER_REFERENCE = 256
_VECTOR = 0xC000
_RECEIVER_REPORT = struct.pack("!BBHI", 0x80, 201, 1, 1)


@dataclass(slots=True)
class TransportFeedback:
    """`receive` transport-wide numbers as they come, `poll` what to tell the sender about them."""

    _arrivals: dict[int, float] = field(default_factory=dict)
    _highest: int = -1
    _told: int = -1
    _count: int = 0

    def receive(self, number: int, now: float) -> None:
        """A packet with this number (16 bits) has arrived."""
        near = self._highest if self._highest >= 0 else number
        unwrapped = near + ((number - near + 0x8000) & 0xFFFF) - 0x8000
        if unwrapped > self._told:
            self._arrivals.setdefault(unwrapped, now)
            self._highest = max(self._highest, unwrapped)

    def poll(self) -> bytes | None:
        """RTCP for everything since the last call; None when nothing has come."""
        if not self._arrivals:
            return None
        first, last = (self._told + 1 if self._told >= 0 else min(self._arrivals)), self._highest
        start = min(self._arrivals.values())
        reference = int(start * _TICKS_PER_S) // _TICKS_PER_REFERENCE
        at, symbols, deltas = reference * _TICKS_PER_REFERENCE, [], b""
        for number in range(first, last + 1):
            arrival = self._arrivals.get(number)
            if arrival is None:
                symbols.append(0)
                continue
            step = int(arrival * _TICKS_PER_S) - at
            at += step
            is_small = 0 <= step <= 0xFF
            symbols.append(1 if is_small else 2)
            deltas += struct.pack("!B", step) if is_small else struct.pack("!h", step)
        head = struct.pack(
            "!IIHHI", 1, 0, first & 0xFFFF, len(symbols), (reference & 0xFFFFFF) << 8 | self._count
        )
        self._arrivals.clear()
        self._told = last
        self._count = (self._count + 1) & 0xFF
        return _RECEIVER_REPORT + _message(15, 205, head + _chunks(symbols) + deltas)


def remb(bps: int, ssrcs: Iterable[int]) -> bytes:
    """RTCP that tells how much a receiver takes of all these sources together."""
    exponent = max(0, bps.bit_length() - 18)
    sources = b"".join(struct.pack("!I", ssrc) for ssrc in ssrcs)
    word = (len(sources) // 4) << 24 | exponent << 18 | bps >> exponent
    return _RECEIVER_REPORT + _message(
        15, 206, struct.pack("!II", 1, 0) + b"REMB" + struct.pack("!I", word) + sources
    )


def _chunks(symbols: list[int]) -> bytes:
    chunks = b""
    for at in range(0, len(symbols), 7):
        word = _VECTOR
        for place, symbol in enumerate(symbols[at : at + 7]):
            word |= symbol << (12 - 2 * place)
        chunks += struct.pack("!H", word)
    return chunks


def _message(count: int, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body
