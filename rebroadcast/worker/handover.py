"""How an opened part of a recording comes to a program process: a datagram that carries its descriptor."""

import os
import socket
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

import msgspec
import structlog

from media.sealed import SealedReader, SealError

log = structlog.get_logger()

MUTES_MOST: Final = 500
"""Of one part, in one datagram."""
_DATAGRAM_MAX_BYTES: Final = 64_000
_FDS_MOST: Final = 4
_DATAGRAMS_AT_ONCE: Final = 64


class GivenPart(msgspec.Struct, frozen=True, kw_only=True):
    """One media file of a person, to be shown while the page has (`slot`, `version`) open.

    `_ms` are times of the recording, `_ns` CLOCK_MONOTONIC.
    """

    tap: int
    """The same for all parts of one source of a person while they are there."""
    person: str
    participant: str
    kind: str
    source: str
    slot: int
    version: int
    name: str
    start_ms: int
    end_ms: int
    mutes: tuple[dict[str, int | bool], ...]
    begins_ns: int
    """When the recording's time 0 is shown."""
    from_ns: int
    """When the person comes."""
    until_ns: int
    """When they go."""
    key: bytes
    """What the file is sealed with; empty when it is not."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenPart:
    """A part that was handed over; whoever takes it closes the file."""

    given: GivenPart
    file: BinaryIO
    """Its plain bytes."""


def part_sockets() -> tuple[socket.socket, socket.socket]:
    """The giving and the taking end of a hand-over."""
    giving, taking = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    giving.setblocking(False)
    return giving, taking


def give_part(end: socket.socket, part: GivenPart, fd: int) -> bool:
    """Hand a part over; the caller's descriptor stays its own. False when the other side must read first.

    Raises: OSError when there is no other side.
    """
    try:
        socket.send_fds(end, [msgspec.msgpack.encode(part)], [fd])
    except BlockingIOError:
        return False
    return True


def take_parts(end: socket.socket) -> list[OpenPart] | None:
    """The parts that have come; what cannot be read is left out. None: no more will come. Never waits."""
    found: list[OpenPart] = []
    for _ in range(_DATAGRAMS_AT_ONCE):
        try:
            data, fds, _, _ = socket.recv_fds(end, _DATAGRAM_MAX_BYTES, _FDS_MOST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            break
        except ConnectionError:
            data = b""
        if not data:
            return found or None
        part = _opened(data, fds)
        if part is not None:
            found.append(part)
    return found


def _opened(data: bytes, fds: list[int]) -> OpenPart | None:
    files = [os.fdopen(fd, "rb") for fd in fds]
    try:
        given = msgspec.msgpack.decode(data, type=GivenPart)
        (file,) = files
        return OpenPart(given, cast("BinaryIO", SealedReader(file, given.key)) if given.key else file)
    except (msgspec.MsgspecError, SealError, ValueError, OSError, RecursionError) as error:
        log.warning("part_refused", reason=str(error))
        for file in files:
            file.close()
        return None
