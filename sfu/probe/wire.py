"""Sockets that carry a caller's datagrams: UDP, or TCP with RFC 4571 frames."""

import asyncio
import struct
from collections.abc import Callable
from typing import Final, cast

from sfu.engine.types import PathKind

Receiver = Callable[[bytes], None]

_LENGTH: Final = struct.Struct("!H")


class UdpWire(asyncio.DatagramProtocol):
    """A connected UDP socket."""

    def __init__(self, receive: Receiver) -> None:
        self._receive = receive
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, _addr: object) -> None:
        """Pass it on; an empty one is nobody's."""
        if data:
            self._receive(data)

    def error_received(self, exc: Exception) -> None:
        """A port that nobody listens on says so; the call's deadline tells it."""

    def send(self, data: bytes) -> None:
        """Send one datagram."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data)

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()


class TcpWire(asyncio.Protocol):
    """A TCP connection that carries frames."""

    def __init__(self, receive: Receiver) -> None:
        self._receive = receive
        self._transport: asyncio.Transport | None = None
        self._stream = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass whole frames on."""
        self._stream += data
        while len(self._stream) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._stream)[0]
            if len(self._stream) < end:
                return
            frame = bytes(self._stream[_LENGTH.size : end])
            del self._stream[:end]
            if frame:
                self._receive(frame)

    def send(self, data: bytes) -> None:
        """Send one datagram as a frame."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_LENGTH.pack(len(data)) + data)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()


async def open_wire(kind: PathKind, ip: str, port: int, receive: Receiver) -> UdpWire | TcpWire:
    """Reach an address.

    Raises:
        OSError: there is no route, or the connection is refused.
    """
    loop = asyncio.get_running_loop()
    if kind == "udp":
        _, udp = await loop.create_datagram_endpoint(lambda: UdpWire(receive), remote_addr=(ip, port))
        return udp
    _, tcp = await loop.create_connection(lambda: TcpWire(receive), ip, port)
    return tcp
