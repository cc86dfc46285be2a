"""Transport-wide feedback read with strings of bits: an oracle for what the core's recorder builds.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Feedback:
    """One message."""

    base: int
    number: int
    statuses: tuple[tuple[int, int | None], ...]
    """(seq, arrival in ns, quantised to 250 us; None when it did not arrive)."""


def _symbols(chunk: str) -> list[int]:
    if chunk[0] == "0":
        return [int(chunk[1:3], 2)] * int(chunk[3:], 2)
    if chunk[1] == "0":
        return [int(bit) for bit in chunk[2:]]
    return [int(chunk[at : at + 2], 2) for at in range(2, 16, 2)]


def read(data: bytes) -> Feedback:
    """Reads one whole RTCP message; asserts what the draft demands."""
    assert data[0] == 0x8F
    assert data[1] == 205
    assert len(data) == (int.from_bytes(data[2:4]) + 1) * 4
    base, count = int.from_bytes(data[12:14]), int.from_bytes(data[14:16])
    ticks = int.from_bytes(data[16:19]) * 256
    symbols: list[int] = []
    at = 20
    while len(symbols) < count:
        symbols += _symbols(f"{int.from_bytes(data[at : at + 2]):016b}")
        at += 2
    statuses = []
    for index, symbol in enumerate(symbols[:count]):
        arrival = None
        if symbol:
            ticks += int.from_bytes(data[at : at + symbol], signed=symbol == 2)
            at += symbol
            arrival = ticks * 250_000
        statuses.append(((base + index) % 2**16, arrival))
    assert len(data) - at < 4
    assert not any(data[at:])
    return Feedback(base, data[19], tuple(statuses))
