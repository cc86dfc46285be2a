"""The RTMP session of one publisher, from the first handshake byte to the last video message.

PURE: bytes and time in, effects out.

Source: Adobe's Real Time Messaging Protocol 1.0, sections 5.2 (handshake), 7.2 (commands).
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final
from urllib.parse import urlsplit

from rebroadcast.worker.rtmp import amf0
from rebroadcast.worker.rtmp.chunk import ChunkReader, Message, MessageType, write_message

CHUNK_BYTES: Final = 4096
HANDSHAKE_BYTES: Final = 1536
STEP_TIMEOUT_S: Final = 10.0

_CONTROL_STREAM, _COMMAND_STREAM, _AUDIO_STREAM, _VIDEO_STREAM = 2, 3, 4, 6
_PING_REQUEST, _PING_RESPONSE = 6, 7
_CONNECT, _CREATE_STREAM, _PUBLISH = 1.0, 4.0, 5.0


@dataclass(frozen=True, slots=True)
class RtmpTarget:
    """Where a publisher goes: the parts of `rtmp[s]://host[:port]/app/key`; the key never shows in `repr`."""

    host: str
    port: int
    is_tls: bool
    app: str
    key: str

    @classmethod
    def parse(cls, url: str) -> "RtmpTarget":
        """Splits a destination URL; the last path segment with its query is the stream key.

        Raises:
            ValueError: another scheme, no host, no application or no key; the message never holds the key.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"rtmp", "rtmps"}:
            raise ValueError(f"the scheme is {parts.scheme!r}; rtmp or rtmps is wanted")
        if not parts.hostname:
            raise ValueError("the URL names no host")
        app, _, key = parts.path.strip("/").rpartition("/")
        if not app or not key:
            raise ValueError("the path must be /application/stream-key")
        if parts.query:
            key = f"{key}?{parts.query}"
        is_tls = parts.scheme == "rtmps"
        return cls(parts.hostname, parts.port or (443 if is_tls else 1935), is_tls, app, key)

    @property
    def tc_url(self) -> str:
        """The URL of the application, which the connect command carries; it holds no key."""
        scheme = "rtmps" if self.is_tls else "rtmp"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/{self.app}"

    def __repr__(self) -> str:
        return f"RtmpTarget({self.tc_url}/***)"


class SessionState(Enum):
    """How far the session has come."""

    HANDSHAKE = auto()
    CONNECTING = auto()
    CREATING = auto()
    PUBLISHING = auto()
    LIVE = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes for the wire."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Published:
    """The server accepted the publish; media may flow."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server refused or ended the session; `reason` is its own word, cut to 200 characters."""

    reason: str


Effect = Send | Published | Refused


class PublishSession:
    """Drives one publish; the shell sends what `poll` gives and feeds `receive` what arrives."""

    def __init__(self, target: RtmpTarget, *, now: float, random_bytes: bytes) -> None:
        """Starts the handshake; `random_bytes` must be 1528 bytes."""
        if len(random_bytes) != HANDSHAKE_BYTES - 8:
            raise ValueError(f"random_bytes must be {HANDSHAKE_BYTES - 8} bytes")
        self._target = target
        self._effects: deque[Effect] = deque()
        self._reader = ChunkReader()
        self._handshake = bytearray()
        self._state = SessionState.HANDSHAKE
        self._deadline: float | None = now + STEP_TIMEOUT_S
        self._stream_id = 0
        self._received = 0
        self._reported = 0
        self._window = 2_500_000
        self.acknowledged_bytes = 0
        self.answered_ping: int | None = None
        """The newest ping that the server answered: it has read what was sent before."""
        self._emit(b"\x03" + bytes(8) + random_bytes)

    @property
    def state(self) -> SessionState:
        """Where the session stands now."""
        return self._state

    def deadline(self) -> float | None:
        """When `tick` must be called; None while live or closed."""
        return self._deadline

    def tick(self, now: float) -> None:
        """Closes a session whose server let a step's time pass."""
        if self._deadline is not None and now >= self._deadline:
            self._refuse(f"no answer while {self._state.name.lower()} within {STEP_TIMEOUT_S:.0f} s")

    def poll(self) -> Iterator[Effect]:
        """Hands over the effects that have gathered, oldest first."""
        while self._effects:
            yield self._effects.popleft()

    def receive(self, data: bytes, now: float) -> None:
        """Takes bytes from the server.

        Raises:
            ChunkError: the chunk stream is broken; the connection is of no more use.
            Amf0Error: a command cannot be read; the same.
        """
        if self._state is SessionState.CLOSED:
            return
        self._received += len(data)
        if self._state is SessionState.HANDSHAKE:
            data = self._shake(data, now)
        for message in self._reader.receive(data):
            self._handle(message, now)
        if self._received - self._reported >= self._window // 2:
            self._reported = self._received
            self._control(MessageType.ACKNOWLEDGEMENT, (self._received & 0xFFFFFFFF).to_bytes(4, "big"))

    def send_metadata(self, values: dict[str, amf0.Encodable]) -> None:
        """Sends onMetaData; only while live."""
        payload = amf0.encode("@setDataFrame", "onMetaData", values)
        self._media(MessageType.DATA_AMF0, payload, 0, _AUDIO_STREAM)

    def send_audio(self, body: bytes, timestamp_ms: int) -> None:
        """Sends one FLV audio tag body; only while live."""
        self._media(MessageType.AUDIO, body, timestamp_ms, _AUDIO_STREAM)

    def send_video(self, body: bytes, timestamp_ms: int) -> None:
        """Sends one FLV video tag body; only while live."""
        self._media(MessageType.VIDEO, body, timestamp_ms, _VIDEO_STREAM)

    def ping(self, number: int) -> None:
        """Asks the server to answer when it has read up to here; `number` has 32 bits. Only while live."""
        if self._state is SessionState.LIVE:
            self._control(
                MessageType.USER_CONTROL, _PING_REQUEST.to_bytes(2, "big") + number.to_bytes(4, "big")
            )

    def close(self) -> None:
        """Ends the publish politely; the shell then closes the socket."""
        if self._state is SessionState.LIVE:
            self._command("FCUnpublish", 6.0, None, self._target.key)
            self._command("deleteStream", 7.0, None, float(self._stream_id))
        self._enter(SessionState.CLOSED, None)

    def _shake(self, data: bytes, now: float) -> bytes:
        """Gathers S0, S1 and S2; returns the bytes that follow them."""
        self._handshake += data
        if self._handshake[0] != 3:
            self._refuse(f"the server speaks RTMP version {self._handshake[0]}, not 3")
            return b""
        whole = 1 + 2 * HANDSHAKE_BYTES
        if len(self._handshake) < whole:
            return b""
        self._emit(bytes(self._handshake[1 : 1 + HANDSHAKE_BYTES]))  # C2 echoes S1
        self._control(MessageType.SET_CHUNK_SIZE, CHUNK_BYTES.to_bytes(4, "big"))
        self._command(
            "connect",
            _CONNECT,
            {
                "app": self._target.app,
                "type": "nonprivate",
                "flashVer": "FMLE/3.0 (compatible; Parley)",
                "tcUrl": self._target.tc_url,
            },
        )
        self._enter(SessionState.CONNECTING, now)
        rest = bytes(self._handshake[whole:])
        self._handshake = bytearray()
        return rest

    def _handle(self, message: Message, now: float) -> None:
        match message.type_id:
            case MessageType.ACKNOWLEDGEMENT:
                self.acknowledged_bytes = int.from_bytes(message.payload[:4], "big")
            case MessageType.WINDOW_ACK_SIZE:
                self._window = max(int.from_bytes(message.payload[:4], "big"), 1024)
            case MessageType.USER_CONTROL:
                self._user_control(message.payload)
            case MessageType.COMMAND_AMF0:
                self._command_received(amf0.decode(message.payload), now)
            case _:
                pass  # a publisher has no use for the rest (peer bandwidth, shared objects, media)

    def _user_control(self, payload: bytes) -> None:
        if len(payload) < 6:
            return
        kind = int.from_bytes(payload[:2], "big")
        if kind == _PING_RESPONSE:
            self.answered_ping = int.from_bytes(payload[2:6], "big")
        elif kind == _PING_REQUEST:
            self._control(MessageType.USER_CONTROL, _PING_RESPONSE.to_bytes(2, "big") + payload[2:6])

    def _command_received(self, values: list[amf0.Value], now: float) -> None:
        name = values[0] if values else None
        transaction = values[1] if len(values) > 1 else None
        if name == "_error":
            if transaction in {_CONNECT, _CREATE_STREAM, _PUBLISH}:  # releaseStream and FCPublish may fail
                self._refuse(_description(values))
        elif name == "_result" and transaction == _CONNECT and self._state is SessionState.CONNECTING:
            self._command("releaseStream", 2.0, None, self._target.key)
            self._command("FCPublish", 3.0, None, self._target.key)
            self._command("createStream", _CREATE_STREAM, None)
            self._enter(SessionState.CREATING, now)
        elif name == "_result" and transaction == _CREATE_STREAM and self._state is SessionState.CREATING:
            stream_id = values[3] if len(values) > 3 else None
            if not isinstance(stream_id, float) or not 0 <= stream_id < 2**32:
                self._refuse("createStream gave no stream id")
                return
            self._stream_id = int(stream_id)
            self._command("publish", _PUBLISH, None, self._target.key, "live", stream_id=self._stream_id)
            self._enter(SessionState.PUBLISHING, now)
        elif name == "onStatus":
            self._status(values)
        elif name == "close":
            self._refuse("the server closed the session")

    def _status(self, values: list[amf0.Value]) -> None:
        info = values[3] if len(values) > 3 else None
        code = info.get("code") if isinstance(info, dict) else None
        level = info.get("level") if isinstance(info, dict) else None
        if code == "NetStream.Publish.Start" and self._state is SessionState.PUBLISHING:
            self._enter(SessionState.LIVE, None)
            self._effects.append(Published())
        elif level == "error" or (
            isinstance(code, str) and code.endswith((".BadName", ".Rejected", ".Failed"))
        ):
            self._refuse(_description(values))

    def _media(self, type_id: MessageType, payload: bytes, timestamp_ms: int, chunk_stream: int) -> None:
        if self._state is not SessionState.LIVE:
            raise RuntimeError(f"media before the publish was accepted ({self._state.name})")
        message = Message(type_id, self._stream_id, timestamp_ms, payload)
        self._emit(write_message(message, chunk_stream=chunk_stream, chunk_bytes=CHUNK_BYTES))

    def _command(self, name: str, transaction: float, *values: amf0.Encodable, stream_id: int = 0) -> None:
        message = Message(MessageType.COMMAND_AMF0, stream_id, 0, amf0.encode(name, transaction, *values))
        self._emit(write_message(message, chunk_stream=_COMMAND_STREAM, chunk_bytes=CHUNK_BYTES))

    def _control(self, type_id: MessageType, payload: bytes) -> None:
        self._emit(
            write_message(
                Message(type_id, 0, 0, payload), chunk_stream=_CONTROL_STREAM, chunk_bytes=CHUNK_BYTES
            )
        )

    def _emit(self, data: bytes) -> None:
        self._effects.append(Send(data))

    def _enter(self, state: SessionState, now: float | None) -> None:
        self._state = state
        self._deadline = None if now is None else now + STEP_TIMEOUT_S

    def _refuse(self, reason: str) -> None:
        self._enter(SessionState.CLOSED, None)
        self._effects.append(Refused(reason[:200].replace(self._target.key, "***")))


def _description(values: list[amf0.Value]) -> str:
    info = values[3] if len(values) > 3 else None
    if isinstance(info, dict):
        return f"{info.get('code', 'error')}: {info.get('description', '')}"
    return "the server answered with an error"
