"""Cut RTMP messages into chunks and put them together again.

PURE. Source: Adobe's Real Time Messaging Protocol 1.0, section 5.3.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

MAX_MESSAGE_BYTES: Final = 1 << 20
MAX_CHUNK_STREAMS: Final = 64
_EXTENDED: Final = 0xFFFFFF


class MessageType(IntEnum):
    """The message types that a publisher sends or is sent (sections 5.4 and 7.1)."""

    SET_CHUNK_SIZE = 1
    ABORT = 2
    ACKNOWLEDGEMENT = 3
    USER_CONTROL = 4
    WINDOW_ACK_SIZE = 5
    SET_PEER_BANDWIDTH = 6
    AUDIO = 8
    VIDEO = 9
    DATA_AMF0 = 18
    COMMAND_AMF0 = 20


class ChunkError(ValueError):
    """A chunk stream that breaks the protocol or our bounds."""

    code = "bad_rtmp_chunk"


@dataclass(frozen=True, slots=True)
class Message:
    """One whole RTMP message. `timestamp_ms` wraps at 2^32."""

    type_id: int
    stream_id: int
    timestamp_ms: int
    payload: bytes


def write_message(message: Message, *, chunk_stream: int, chunk_bytes: int) -> bytes:
    """The chunks of one message: a full header, then continuation headers every `chunk_bytes`."""
    timestamp = message.timestamp_ms & 0xFFFFFFFF
    extended = timestamp.to_bytes(4, "big") if timestamp >= _EXTENDED else b""
    out = bytearray([chunk_stream])
    out += min(timestamp, _EXTENDED).to_bytes(3, "big")
    out += len(message.payload).to_bytes(3, "big")
    out.append(message.type_id)
    out += message.stream_id.to_bytes(4, "little")
    out += extended
    payload = memoryview(message.payload)
    out += payload[:chunk_bytes]
    for start in range(chunk_bytes, len(payload), chunk_bytes):
        out.append(0xC0 | chunk_stream)
        out += extended
        out += payload[start : start + chunk_bytes]
    return bytes(out)


@dataclass(slots=True)
class _Stream:
    """What a chunk stream remembers from its last header, and the message it is gathering."""

    timestamp: int = 0
    delta: int = 0
    length: int = 0
    type_id: int = 0
    stream_id: int = 0
    is_extended: bool = False
    body: bytearray = field(default_factory=bytearray)


class ChunkReader:
    """Bytes in, whole messages out; obeys SET_CHUNK_SIZE and ABORT by itself."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._chunk_bytes = 128
        self._streams: dict[int, _Stream] = {}

    def receive(self, data: bytes) -> Iterator[Message]:
        """Takes bytes from the wire and yields each message that they complete.

        Raises:
            ChunkError: a header without a predecessor, a message over MAX_MESSAGE_BYTES, too many streams.
        """
        self._buffer += data
        while not isinstance(message := self._next(), _More):
            if message is not None:
                yield message

    def _next(self) -> "Message | _More | None":
        parsed = self._header()
        if parsed is None:
            return _MORE
        size, chunk_stream, stream = parsed
        take = min(self._chunk_bytes, stream.length - len(stream.body))
        if len(self._buffer) < size + take:
            return _MORE
        self._streams[chunk_stream] = stream
        stream.body += self._buffer[size : size + take]
        del self._buffer[: size + take]
        if len(stream.body) < stream.length:
            return None
        message = Message(stream.type_id, stream.stream_id, stream.timestamp, bytes(stream.body))
        stream.body = bytearray()
        return self._control(message)

    def _control(self, message: Message) -> Message | None:
        """Applies what concerns the chunk layer itself; everything else goes up."""
        if message.type_id == MessageType.SET_CHUNK_SIZE:
            size = int.from_bytes(message.payload[:4], "big") & 0x7FFFFFFF
            if len(message.payload) < 4 or not size >= 1:
                raise ChunkError("the peer sets a chunk size of 0")
            self._chunk_bytes = min(size, MAX_MESSAGE_BYTES)
            return None
        if message.type_id == MessageType.ABORT:
            stream = self._streams.get(int.from_bytes(message.payload[:4], "big"))
            if stream is not None:
                stream.body = bytearray()
            return None
        return message

    def _header(self) -> tuple[int, int, _Stream] | None:
        """Reads one chunk header without consuming it; None when more bytes are needed."""
        basic = self._basic_header()
        if basic is None:
            return None
        layout, chunk_stream, at = basic
        old = self._predecessor(layout, chunk_stream)
        buffer = self._buffer
        end = at + (11, 7, 3, 0)[layout]
        new = replace(old)
        if len(buffer) < end:
            return None
        clock = int.from_bytes(buffer[at : at + 3], "big")
        if layout < 3:
            new.is_extended = clock == _EXTENDED
        if layout < 2:
            new.length = int.from_bytes(buffer[at + 3 : at + 6], "big")
            new.type_id = buffer[at + 6]
        if layout == 0:
            new.stream_id = int.from_bytes(buffer[at + 7 : at + 11], "little")
        if new.length > MAX_MESSAGE_BYTES:
            raise ChunkError(f"a message of {new.length} bytes; {MAX_MESSAGE_BYTES} are allowed")
        if new.is_extended:
            if len(buffer) < end + 4:
                return None
            clock = int.from_bytes(buffer[end : end + 4], "big")
            end += 4
        if not old.body:
            new.delta = (0, clock, clock, old.delta)[layout]
            new.timestamp = clock if layout == 0 else (old.timestamp + new.delta) & 0xFFFFFFFF
        return end, chunk_stream, new

    def _basic_header(self) -> tuple[int, int, int] | None:
        """The header's layout, the chunk stream and the header's size so far (section 5.3.1.1)."""
        buffer = self._buffer
        if not buffer:
            return None
        layout, chunk_stream, at = buffer[0] >> 6, buffer[0] & 0x3F, 1
        if chunk_stream < 2:
            at = 2 + chunk_stream
            if len(buffer) < at:
                return None
            chunk_stream = 64 + int.from_bytes(buffer[1:at], "little")
        return layout, chunk_stream, at

    def _predecessor(self, layout: int, chunk_stream: int) -> _Stream:
        old = self._streams.get(chunk_stream)
        if old is None:
            if layout != 0:
                raise ChunkError(f"chunk stream {chunk_stream} begins without a full header")
            if len(self._streams) >= MAX_CHUNK_STREAMS:
                raise ChunkError(f"more than {MAX_CHUNK_STREAMS} chunk streams")
            return _Stream()
        if old.body and layout != 3:
            raise ChunkError(f"chunk stream {chunk_stream} starts a message inside another")
        return old


class _More:
    """Says that the buffer holds no whole chunk."""


_MORE: Final = _More()
