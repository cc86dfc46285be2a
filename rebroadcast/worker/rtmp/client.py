"""The socket around `PublishSession`: one connection, what it was sent, what the other side acknowledged."""

import asyncio
import secrets
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from typing import Final

from media.streams import wait_gone
from rebroadcast.worker.link import Address, LinkError
from rebroadcast.worker.rtmp.amf0 import Amf0Error, Encodable
from rebroadcast.worker.rtmp.chunk import ChunkError
from rebroadcast.worker.rtmp.session import (
    HANDSHAKE_BYTES,
    Published,
    PublishSession,
    Refused,
    RtmpTarget,
    Send,
)
from rebroadcast.worker.rtmp.tls import TlsLayer

CONNECT_TIMEOUT_S: Final = 10.0
SEND_BUFFER_BYTES: Final = 128 * 1024
NOTSENT_LOWAT_BYTES: Final = 32 * 1024
_PINGS_MOST: Final = 64
_READ_BYTES: Final = 64 * 1024
_TCP_NOTSENT_LOWAT: Final = 25
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_SEND_ON_CLOSE: Final = struct.pack("ii", 0, 0)
_SYN_BYTES: Final = 1
"""The kernel counts the SYN's acknowledgement as a byte (RFC 9293 section 3.4)."""
_TCPI_BYTES_ACKED: Final = struct.Struct("@120xQ")  # struct tcp_info, linux/tcp.h


class RtmpConnection:
    """A live publish. Made by `open`; used on one event loop; `aclose` ends it.

    Writing never waits: the caller asks `backlog_bytes` and drops whole groups of pictures when it grows.
    """

    def __init__(
        self,
        session: PublishSession,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tls: TlsLayer | None = None,
    ) -> None:
        self._session = session
        self._tls = tls
        self._reader = reader
        self._writer = writer
        self._queued = 0
        self._ping_bytes = 0
        self._pings: deque[tuple[int, int]] = deque(maxlen=_PINGS_MOST)
        self._read_there: int | None = None

    @classmethod
    async def open(
        cls,
        target: RtmpTarget,
        address: Address,
        *,
        clock: Callable[[], float],
        tls: ssl.SSLContext | None = None,
    ) -> "RtmpConnection":
        """Connects, shakes hands and publishes; returns once the server accepted.

        Raises:
            LinkError: no connection, a refusal, a protocol fault, or a server that let a step's time pass.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(address.host, address.port)
        except (OSError, TimeoutError) as error:
            raise LinkError(
                f"no connection to {target.host}:{target.port}: {error or 'timed out'}"
            ) from error
        session = PublishSession(target, now=clock(), random_bytes=secrets.token_bytes(HANDSHAKE_BYTES - 8))
        layer = TlsLayer(tls or ssl.create_default_context(), target.host) if target.is_tls else None
        connection = cls(session, reader, writer, layer)
        try:
            _bound_buffers(writer)
            await connection._shake(target)
            await connection._publish(clock)
        except OSError as error:
            await connection.reset()
            raise LinkError(f"the connection broke: {error}") from error
        except BaseException:
            await connection.reset()
            raise
        return connection

    async def _shake(self, target: RtmpTarget) -> None:
        if self._tls is None:
            return
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                data = b""
                while True:
                    is_done = self._tls.shake(data)
                    self._write(self._tls.pending())
                    if is_done:
                        return
                    data = await self._reader.read(_READ_BYTES)
                    if not data:
                        raise LinkError("the server closed the connection in the TLS handshake")
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._write(self._tls.pending())
            reason = getattr(error, "verify_message", "") or error.reason
            raise LinkError(f"TLS with {target.host} failed: {reason}") from error
        except TimeoutError as error:
            raise LinkError(f"TLS with {target.host} timed out") from error

    async def _publish(self, clock: Callable[[], float]) -> None:
        while True:
            if self._flush():
                return
            deadline = self._session.deadline()
            try:
                async with asyncio.timeout(None if deadline is None else max(deadline - clock(), 0.0)):
                    data = await self._reader.read(_READ_BYTES)
            except TimeoutError:
                self._session.tick(max(clock(), deadline or 0.0))
                continue
            self._take(data, clock())

    async def run(self, clock: Callable[[], float]) -> None:
        """Reads what the server says until it ends the session.

        Raises:
            LinkError: always, with the reason of the end.
        """
        while True:
            try:
                data = await self._reader.read(_READ_BYTES)
            except OSError as error:
                raise LinkError(f"the connection broke: {error}") from error
            self._take(data, clock())
            self._flush()

    def send_metadata(self, values: dict[str, Encodable]) -> None:
        """Queues onMetaData."""
        self._session.send_metadata(values)
        self._flush()

    def send_audio(self, body: bytes, timestamp_ms: int) -> None:
        """Queues one FLV audio tag body."""
        self._session.send_audio(body, timestamp_ms)
        self._flush()

    def send_video(self, body: bytes, timestamp_ms: int) -> None:
        """Queues one FLV video tag body."""
        self._session.send_video(body, timestamp_ms)
        self._flush()

    def ping(self) -> None:
        """Asks the server to answer once it has read what was sent so far."""
        if self._writer.transport.is_closing():
            return
        number = self._pings[-1][0] + 1 if self._pings else 1
        self._pings.append((number, self.queued_bytes))
        before = self._queued
        self._session.ping(number)
        self._flush()
        self._ping_bytes += self._queued - before

    @property
    def queued_bytes(self) -> int:
        """All bytes handed to this connection since it opened, encrypted where it is, but for pings."""
        return self._queued - self._ping_bytes

    def backlog_bytes(self) -> int:
        """Bytes that wait in this process, before the kernel."""
        return self._writer.transport.get_write_buffer_size()

    def acknowledged_bytes(self) -> int:
        """Of those, at least so many did the other host's TCP acknowledge (tcpi_bytes_acked)."""
        sock: socket.socket | None = self._writer.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return 0
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCPI_BYTES_ACKED.size)
        if len(info) < _TCPI_BYTES_ACKED.size:
            return 0
        return max(int(_TCPI_BYTES_ACKED.unpack(info)[0]) - _SYN_BYTES - self._ping_bytes, 0)

    def read_bytes(self) -> int:
        """Bytes that the server itself has read, as far as it answers pings; else those that its host has."""
        answered = self._session.answered_ping
        if answered is not None:
            reached = [queued for number, queued in self._pings if number <= answered]
            self._read_there = max([self._read_there or 0, *reached])
        return self.acknowledged_bytes() if self._read_there is None else self._read_there

    def abort(self) -> None:
        """Resets the connection: nothing that waits is sent any more."""
        self._linger(_RESET_ON_CLOSE)
        self._writer.transport.abort()

    async def reset(self) -> None:
        """Aborts and waits until the socket is gone."""
        self.abort()
        await wait_gone(self._writer)

    async def aclose(self) -> None:
        """Ends the publish politely, within a second."""
        self._session.close()
        self._flush()
        self._linger(_SEND_ON_CLOSE)
        self._writer.close()
        try:
            async with asyncio.timeout(1.0):
                await wait_gone(self._writer)
        except TimeoutError:
            await self.reset()

    def _linger(self, mode: bytes) -> None:
        sock: socket.socket | None = self._writer.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, mode)

    def _take(self, data: bytes, now: float) -> None:
        if not data:
            raise LinkError("the server closed the connection")
        try:
            if self._tls is not None:
                data = self._tls.unwrap(data)
                self._write(self._tls.pending())
                if not data:
                    return  # not one record is whole yet
            self._session.receive(data, now)
        except ssl.SSLError as error:
            raise LinkError(f"the TLS session ended: {error.reason or error}") from error
        except (ChunkError, Amf0Error) as error:
            raise LinkError(f"the server broke the protocol: {error}") from error

    def _write(self, data: bytes) -> None:
        if data:
            self._queued += len(data)
            self._writer.write(data)

    def _flush(self) -> bool:
        """Writes what the session wants sent; True when the publish was accepted just now."""
        is_published = False
        for effect in self._session.poll():
            match effect:
                case Send(data):
                    self._write(data if self._tls is None else self._tls.wrap(data))
                case Published():
                    is_published = True
                case Refused(reason):
                    raise LinkError(reason)
        return is_published


def _bound_buffers(writer: asyncio.StreamWriter) -> None:
    """Keeps little in flight, so that a cut finds little that it cannot call back.

    What the kernel still holds when this process is killed is not sent either: the connection is reset.
    """
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
