"""SRT as a link: MPEG-TS in messages of seven packets, judged by what the receiver acknowledged."""

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from rebroadcast.worker.encode import AudioEncoder, EncodedAudio, EncodedVideo
from rebroadcast.worker.link import ACKNOWLEDGED_WITHIN_S, Address, LinkError
from rebroadcast.worker.srt.library import PAYLOAD_BYTES, SrtError, SrtSocket, State
from rebroadcast.worker.ts import TsPart

CONNECT_TIMEOUT_S: Final = 6.0
_LOOK_S: Final = 0.05
_DRAIN_S: Final = 1.0


class SrtDial:
    """Opens connections to one SRT destination.

    `url` is `srt://host:port?latency=...`; `secret` a query with `streamid` and `passphrase`.
    """

    def __init__(self, url: str, secret: str, audio: AudioEncoder, *, clock: Callable[[], float]) -> None:
        latency = dict(parse_qsl(urlsplit(url).query)).get("latency")
        self._latency_ms = int(latency) if latency else None
        self._secrets = dict(parse_qsl(secret))
        self._audio = audio
        self._clock = clock

    async def __call__(self, address: Address) -> "SrtLink":
        """A connection that the receiver accepted."""
        try:
            made = SrtSocket(
                latency_ms=self._latency_ms,
                stream_id=self._secrets.get("streamid", ""),
                passphrase=self._secrets.get("passphrase", ""),
            )
        except SrtError as error:
            raise LinkError(str(error)) from error
        try:
            made.connect(address.host, address.port)
            await self._connected(made, address)
        except SrtError as error:
            made.close()
            raise LinkError(f"no SRT connection: {error}") from error
        except BaseException:
            made.close()
            raise
        return SrtLink(made, self._audio, self._clock)

    async def _connected(self, made: SrtSocket, address: Address) -> None:
        deadline = self._clock() + CONNECT_TIMEOUT_S
        while (state := made.state()) is not State.CONNECTED:
            if state > State.CONNECTED or self._clock() > deadline:
                raise LinkError(f"no SRT connection to port {address.port}: {made.reject_reason()}")
            await asyncio.sleep(_LOOK_S)


class SrtLink:
    """A link (see `link.Link`) over one SRT connection."""

    patience_s = ACKNOWLEDGED_WITHIN_S
    survives_cut = True

    def __init__(self, connection: SrtSocket, audio: AudioEncoder, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._audio = audio
        self._clock = clock
        self._part: TsPart | None = None
        self._waiting = bytearray()
        self._is_closed = False

    @property
    def queued_bytes(self) -> int:
        """All bytes handed to the library since it opened."""
        return self._connection.handed_bytes

    def backlog_bytes(self) -> int:
        """Bytes that are not acknowledged, or do not even fit the library's buffer."""
        if self._is_closed:
            return 0
        return len(self._waiting) + self._connection.unacknowledged_bytes()

    def acknowledged_bytes(self) -> int:
        """Bytes that the receiver acknowledged."""
        if self._is_closed:
            return 0
        return self._connection.handed_bytes - self._connection.unacknowledged_bytes()

    def taken_bytes(self) -> int:
        """As acknowledged."""
        return self.acknowledged_bytes()

    def send(self, frame: EncodedVideo | EncodedAudio) -> None:
        """Queues one frame; another format begins a stream of its own."""
        if isinstance(frame, EncodedVideo) and (self._part is None or self._part.format is not frame.format):
            self._part = TsPart(frame.format, self._audio)
        if self._part is None:
            return
        self._waiting += self._part.add(frame)
        self._flush()

    def forget(self) -> None:
        """Drops what the muxer holds and what was not handed over."""
        self._part = None
        self._waiting.clear()

    async def run(self) -> None:
        """Watches the connection until it ends."""
        while not self._is_closed:
            state = self._connection.state()
            if state is not State.CONNECTED:
                raise LinkError("the receiver went away" if state is State.BROKEN else "the connection ended")
            self._flush()
            await asyncio.sleep(_LOOK_S)
        raise LinkError("the connection was closed")

    def abort(self) -> None:
        """Closes it: nothing that waits is sent any more."""
        self._is_closed = True
        self._connection.close()

    async def reset(self) -> None:
        """As `abort`."""
        self.abort()

    async def aclose(self) -> None:
        """Closes when the receiver has everything, within a second."""
        deadline = self._clock() + _DRAIN_S
        while self.backlog_bytes() and self._clock() < deadline:  # noqa: ASYNC110 (the library's state)
            await asyncio.sleep(_LOOK_S)
        self.abort()

    def _flush(self) -> None:
        try:
            while len(self._waiting) >= PAYLOAD_BYTES:
                if not self._connection.send(bytes(self._waiting[:PAYLOAD_BYTES])):
                    return
                del self._waiting[:PAYLOAD_BYTES]
        except SrtError as error:
            raise LinkError(f"the connection broke: {error}") from error
