"""The control channel between the server and its worker processes: framed msgpack over a Unix stream socket.

A frame is a big-endian u32 length and that many bytes of msgpack (one tagged `msgspec.Struct`). Both ends
are bounded: a frame above `FRAME_MAX_BYTES` ends the channel, and a sender whose peer does not read is told
so instead of buffering.
Worker processes get the channel as descriptor `CONTROL_FD`; the first message is `WorkerStart`.
"""

import asyncio
import socket
import struct
from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeVar, overload

import msgspec

from media.streams import wait_gone

CONTROL_FD: Final = 3
FRAME_MAX_BYTES: Final = 1 << 20
SEND_BUFFER_MAX_BYTES: Final = 4 << 20

_LENGTH: Final = struct.Struct(">I")
_RECEIVE_BYTES: Final = 65_536

T = TypeVar("T")


class ControlError(Exception):
    """The channel is broken or the peer does not follow the protocol; the channel is of no further use."""

    code = "control_error"


class WorkerStart(msgspec.Struct, frozen=True, tag="worker_start"):
    """The first message to a worker process: where its descriptors are and how it is configured."""

    fds: dict[str, int]
    """Name of each passed descriptor -> its number in the worker."""
    config: dict[str, Any]
    """The worker's own configuration; it converts this to its type at once."""


class FrameBuffer:
    """Cuts a byte stream into frames. PURE.

    At most one unfinished frame is held, so memory stays below `FRAME_MAX_BYTES` and one read.
    """

    def __init__(self, frame_max_bytes: int = FRAME_MAX_BYTES) -> None:
        self._frame_max_bytes = frame_max_bytes
        self._data = bytearray()

    def receive(self, data: bytes) -> list[bytes]:
        """Take what was read; return the frames that are now whole.

        Raises: ControlError on a frame too long.
        """
        self._data += data
        frames: list[bytes] = []
        offset = 0
        while len(self._data) - offset >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._data, offset)
            if not 0 < size <= self._frame_max_bytes:
                raise ControlError(f"a frame of {size} bytes")
            end = offset + _LENGTH.size + size
            if len(self._data) < end:
                break
            frames.append(bytes(self._data[offset + _LENGTH.size : end]))
            offset = end
        del self._data[:offset]
        return frames

    @property
    def is_empty(self) -> bool:
        """Whether no unfinished frame waits."""
        return not self._data

    def end(self) -> None:
        """Take that nothing follows. Raises: ControlError when a frame is unfinished."""
        if self._data:
            raise ControlError("the channel ended within a frame")


def encode_frame(message: msgspec.Struct) -> bytes:
    """Encode one message with its length. Raises: ControlError when it is too long."""
    body = msgspec.msgpack.encode(message)
    if len(body) > FRAME_MAX_BYTES:
        raise ControlError(f"a message of {len(body)} bytes")
    return _LENGTH.pack(len(body)) + body


def decode_frame(frame: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    """Decode one frame's body to the decoder's type. Raises: ControlError, whatever the bytes are."""
    try:
        return decoder.decode(frame)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, OverflowError) as error:
        raise ControlError(f"a message that does not fit: {error}") from error


@overload
def convert_config(config: Mapping[str, Any], to: type[T]) -> T: ...
@overload
def convert_config(config: Mapping[str, Any], to: Any) -> Any: ...
def convert_config(config: Mapping[str, Any], to: Any) -> Any:
    """Turn `WorkerStart.config` into the worker's own type. Raises: ControlError."""
    try:
        return msgspec.convert(config, to)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ControlError(f"a configuration that does not fit: {error}") from error


def control_pair() -> tuple[socket.socket, socket.socket]:
    """Make the two connected ends of a channel; one for `ControlChannel.open`, one for the worker."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


class ControlChannel:
    """The asyncio end. One task receives; any task of the same loop sends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = FrameBuffer()
        self._frames: list[bytes] = []

    @classmethod
    async def open(cls, sock: socket.socket) -> "ControlChannel":
        """Take over one end of `control_pair`."""
        sock.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=sock, limit=_RECEIVE_BYTES))

    def send(self, message: msgspec.Struct) -> None:
        """Queue one message without waiting.

        Raises: ControlError when the channel is closed, the message too long, or the peer has not read
        the last `SEND_BUFFER_MAX_BYTES`.
        """
        frame = encode_frame(message)
        transport = self._writer.transport
        if transport.is_closing():
            raise ControlError("the channel is closed")
        if transport.get_write_buffer_size() + len(frame) > SEND_BUFFER_MAX_BYTES:
            raise ControlError("the peer does not read")
        self._writer.write(frame)

    @property
    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._writer.transport.is_closing()

    @property
    def waiting_bytes(self) -> int:
        """What was sent and the peer has not taken yet, beside what the kernel holds."""
        return self._writer.transport.get_write_buffer_size()

    async def drain(self) -> None:
        """Wait until the peer has taken most of what was sent. Raises: ControlError when it went away."""
        try:
            await self._writer.drain()
        except OSError as error:
            raise ControlError(f"the peer went away: {error}") from error

    async def receive(self, decoder: msgspec.msgpack.Decoder[T]) -> T | None:
        """Wait for the next message; None when the peer closed the channel. Cancelling loses nothing.

        Raises: ControlError when the peer broke the protocol.
        """
        while not self._frames:
            try:
                data = await self._reader.read(_RECEIVE_BYTES)
            except ConnectionError:
                data = b""
            if not data:
                self._buffer.end()
                return None
            self._frames = self._buffer.receive(data)
        return decode_frame(self._frames.pop(0), decoder)

    async def close(self) -> None:
        """Close the channel; what was sent before is still delivered; idempotent."""
        self._writer.close()
        await wait_gone(self._writer)


class BlockingControl:
    """The blocking end, for worker processes that have no event loop. Belongs to one thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = FrameBuffer()
        self._frames: list[bytes] = []

    @classmethod
    def from_fd(cls, fd: int = CONTROL_FD) -> "BlockingControl":
        """Take over the descriptor that the server passed."""
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        """The descriptor to poll; look at `has_frame` first."""
        return self._sock.fileno()

    @property
    def has_frame(self) -> bool:
        """Whether `receive` returns at once without reading the socket."""
        return bool(self._frames)

    def send(self, message: msgspec.Struct) -> None:
        """Send one message; waits while the peer does not read. Raises: ControlError."""
        frame = encode_frame(message)
        try:
            self._sock.sendall(frame)
        except OSError as error:
            raise ControlError(f"the peer went away: {error}") from error

    def receive(self, decoder: msgspec.msgpack.Decoder[T]) -> T | None:
        """Wait for the next message; None when the peer closed the channel. Raises: ControlError."""
        while not self._frames:
            try:
                data = self._sock.recv(_RECEIVE_BYTES)
            except ConnectionError:
                data = b""
            except OSError as error:
                raise ControlError(f"the channel broke: {error}") from error
            if not data:
                self._buffer.end()
                return None
            self._frames = self._buffer.receive(data)
        return decode_frame(self._frames.pop(0), decoder)

    def close(self) -> None:
        """Close the channel; idempotent."""
        self._sock.close()


class WorkerProcess(Protocol):
    """A running worker process as its owner sees it."""

    @property
    def pid(self) -> int:
        """The process id."""
        ...

    @property
    def control(self) -> ControlChannel:
        """The channel to it; `WorkerStart` has been sent already."""
        ...

    async def wait(self) -> int:
        """Wait for its end; the exit code, negative for a signal. May be called by several tasks."""
        ...

    def kill(self) -> None:
        """End it at once (SIGKILL); harmless when it has ended."""
        ...


class Spawner(Protocol):
    """Starts worker processes; the server's supervisor is one."""

    async def spawn(self, module: str, fds: Mapping[str, int], config: Mapping[str, Any]) -> WorkerProcess:
        """Start `python -m module` with its channel on descriptor 3 and the named descriptors passed on.

        `fds` maps a name to a descriptor of this process: the worker inherits a copy, the caller keeps
        its own.
        The worker is sent `WorkerStart` and dies with the server. Restarting is the caller's decision.
        Raises: OSError when the process cannot be started.
        """
        ...
