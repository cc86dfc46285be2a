"""SCTP packets as values: whatever arrives becomes a `SctpPacket` or a `SctpError`. PURE.

Everything that a chunk says of lengths and counts is checked against the bytes that are there, so that
whoever reads the same bytes later finds what it expects. Only what a guard must judge is kept.

Source: RFC 9260 (SCTP), RFC 3758 (FORWARD-TSN), RFC 6525 (RE-CONFIG).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from google_crc32c import value as crc32c

from sfu.errors import SfuError

__all__ = [
    "Chunk",
    "Control",
    "Data",
    "End",
    "ForwardTsn",
    "Handshake",
    "Init",
    "Reset",
    "ResetAnswer",
    "Sack",
    "SctpError",
    "SctpPacket",
    "parse_sctp",
]

MAX_BYTES: Final = 2_048
MAX_CHUNKS: Final = 64
MAX_GAPS: Final = 256
MAX_PARAMETERS: Final = 32
MAX_COOKIE_BYTES: Final = 1_024

_HEADER: Final = struct.Struct("!HHL4s")
_CHUNK: Final = struct.Struct("!BBH")
_PARAMETER: Final = struct.Struct("!HH")
_DATA: Final = struct.Struct("!LHHL")
_INIT: Final = struct.Struct("!LLHHL")
_SACK: Final = struct.Struct("!LLHH")
_RESET: Final = struct.Struct("!LLL")
_ANSWER: Final = struct.Struct("!LL")
_RESET_OUT: Final = 13
_RESET_ANSWER: Final = 16
_STATE_COOKIE: Final = 7
_SKIP: Final = 0x80
"""Types with this bit may be passed over by whoever does not know them (RFC 9260 section 3.2)."""


class SctpError(SfuError):
    """A packet that is not well formed; `reason` is a stable word, and the name of its counter."""

    code = "invalid_sctp"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Data:
    """A DATA chunk without its bytes; `size` of user data is at least 1."""

    tsn: int
    stream: int
    size: int


@dataclass(frozen=True, slots=True)
class Init:
    """INIT, or INIT-ACK when `is_ack`."""

    tag: int
    tsn: int
    is_ack: bool


@dataclass(frozen=True, slots=True)
class Sack:
    """SACK: gap blocks as (first, last), counted from `cumulative`."""

    cumulative: int
    gaps: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class ForwardTsn:
    """FORWARD-TSN with the streams that it names."""

    cumulative: int
    streams: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reset:
    """RE-CONFIG: the peer resets streams of its own."""

    sequence: int
    last_tsn: int
    streams: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ResetAnswer:
    """RE-CONFIG: the peer answers a reset of ours."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Handshake:
    """COOKIE-ECHO or COOKIE-ACK."""


@dataclass(frozen=True, slots=True)
class Control:
    """HEARTBEAT and its answer, ERROR, and chunks that may be passed over."""


@dataclass(frozen=True, slots=True)
class End:
    """ABORT or a part of the shutdown: the peer ends the association."""


Chunk = Data | Init | Sack | ForwardTsn | Reset | ResetAnswer | Handshake | Control | End


@dataclass(frozen=True, slots=True)
class SctpPacket:
    """One packet whose checksum is right."""

    source: int
    destination: int
    tag: int
    chunks: tuple[Chunk, ...]


def parse_sctp(data: bytes) -> SctpPacket:
    """Read a packet.

    Raises:
        SctpError: it is none, or breaks a limit.
    """
    if len(data) < _HEADER.size + _CHUNK.size:
        raise SctpError("too_short")
    if len(data) > MAX_BYTES:
        raise SctpError("too_long")
    source, destination, tag, checksum = _HEADER.unpack_from(data)
    # RFC 9260 section 6.8: over the packet with a checksum of zero; the only little-endian field.
    if int.from_bytes(checksum, "little") != crc32c(data[:8] + bytes(4) + data[12:]):
        raise SctpError("checksum")
    chunks: list[Chunk] = []
    position, types = _HEADER.size, set[int]()
    while position < len(data):
        if len(data) - position < _CHUNK.size:
            raise SctpError("chunk_length")
        kind, _, length = _CHUNK.unpack_from(data, position)
        if length < _CHUNK.size or position + length > len(data):
            raise SctpError("chunk_length")
        if len(chunks) >= MAX_CHUNKS:
            raise SctpError("chunk_count")
        chunks.append(_chunk(kind, data[position + _CHUNK.size : position + length]))
        types.add(kind)
        position += length + -length % 4
    # RFC 9260 section 6.10: these stand alone.
    if len(chunks) > 1 and types & {1, 2, 14}:
        raise SctpError("bundled")
    return SctpPacket(source, destination, tag, tuple(chunks))


def _chunk(kind: int, body: bytes) -> Chunk:
    reader = _READERS.get(kind)
    if reader is not None:
        return reader(body)
    if kind & _SKIP:
        return Control()
    raise SctpError("chunk_type")


def _data(body: bytes) -> Data:
    if len(body) <= _DATA.size:
        raise SctpError("empty_data")
    tsn, stream, _, _ = _DATA.unpack_from(body)
    return Data(tsn, stream, len(body) - _DATA.size)


def _init(body: bytes) -> Init:
    return _read_init(body, is_ack=False)


def _init_ack(body: bytes) -> Init:
    return _read_init(body, is_ack=True)


def _read_init(body: bytes, *, is_ack: bool) -> Init:
    if len(body) < _INIT.size:
        raise SctpError("init")
    tag, window, outbound, inbound, tsn = _INIT.unpack_from(body)
    # RFC 9260 section 3.3.2: zero is not allowed in any of these.
    if not (tag and outbound and inbound) or window < 1_500:
        raise SctpError("init")
    parameters = _parameters(body[_INIT.size :])
    if is_ack and not 0 < len(dict(parameters).get(_STATE_COOKIE, b"")) <= MAX_COOKIE_BYTES:
        raise SctpError("init")
    return Init(tag, tsn, is_ack)


def _sack(body: bytes) -> Sack:
    if len(body) < _SACK.size:
        raise SctpError("sack")
    cumulative, _, gaps, duplicates = _SACK.unpack_from(body)
    if gaps > MAX_GAPS or len(body) != _SACK.size + 4 * (gaps + duplicates):
        raise SctpError("sack")
    blocks = struct.unpack_from(f"!{2 * gaps}H", body, _SACK.size)
    return Sack(cumulative, tuple(zip(blocks[::2], blocks[1::2], strict=True)))


def _forward(body: bytes) -> ForwardTsn:
    if len(body) < 4 or len(body) % 4 or len(body) > 4 + 4 * MAX_PARAMETERS:
        raise SctpError("forward_tsn")
    words = struct.unpack(f"!L{(len(body) - 4) // 2}H", body)
    return ForwardTsn(words[0], words[1::2])


def _reconfig(body: bytes) -> Reset | ResetAnswer:
    parameters = _parameters(body)
    if len(parameters) != 1:
        raise SctpError("reconfig")
    kind, value = parameters[0]
    if kind == _RESET_OUT and len(value) > _RESET.size and len(value) % 2 == 0:
        if len(value) > _RESET.size + 2 * MAX_PARAMETERS:
            raise SctpError("reconfig")
        sequence, _, last_tsn = _RESET.unpack_from(value)
        streams = struct.unpack_from(f"!{(len(value) - _RESET.size) // 2}H", value, _RESET.size)
        return Reset(sequence, last_tsn, streams)
    if kind == _RESET_ANSWER and len(value) >= _ANSWER.size:
        return ResetAnswer(_ANSWER.unpack_from(value)[0])
    raise SctpError("reconfig")


def _cookie_echo(body: bytes) -> Handshake:
    if not 0 < len(body) <= MAX_COOKIE_BYTES:
        raise SctpError("cookie")
    return Handshake()


def _cookie_ack(body: bytes) -> Handshake:
    if body:
        raise SctpError("cookie")
    return Handshake()


def _control(body: bytes) -> Control:
    _parameters(body)
    return Control()


def _end(_body: bytes) -> End:
    return End()


def _parameters(body: bytes) -> list[tuple[int, bytes]]:
    """The parameters (or error causes) of a chunk: each step moves on by at least its header."""
    found: list[tuple[int, bytes]] = []
    position = 0
    while position < len(body):
        if len(body) - position < _PARAMETER.size:
            raise SctpError("parameter_length")
        kind, length = _PARAMETER.unpack_from(body, position)
        if length < _PARAMETER.size or position + length > len(body):
            raise SctpError("parameter_length")
        if len(found) >= MAX_PARAMETERS:
            raise SctpError("parameter_count")
        found.append((kind, body[position + _PARAMETER.size : position + length]))
        position += length + -length % 4
    return found


_READERS: Final[Mapping[int, Callable[[bytes], Chunk]]] = MappingProxyType(
    {
        0: _data,
        1: _init,
        2: _init_ack,
        3: _sack,
        4: _control,  # HEARTBEAT
        5: _control,  # HEARTBEAT-ACK
        6: _end,  # ABORT
        7: _end,  # SHUTDOWN
        8: _end,  # SHUTDOWN-ACK
        9: _control,  # ERROR
        10: _cookie_echo,
        11: _cookie_ack,
        14: _end,  # SHUTDOWN-COMPLETE
        130: _reconfig,
        192: _forward,
    }
)
