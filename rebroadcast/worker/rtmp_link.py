"""RTMP as a link: FLV tags over one publish, with a new sequence header wherever the format changes."""

import ssl
from collections.abc import Callable, Mapping
from typing import Final

from media.mixer import SAMPLE_RATE
from rebroadcast.worker import flv
from rebroadcast.worker.encode import VIDEO_CLOCK, AudioEncoder, EncodedAudio, EncodedVideo, VideoFormat
from rebroadcast.worker.link import ACKNOWLEDGED_WITHIN_S, Address, LinkError
from rebroadcast.worker.rtmp import RtmpTarget
from rebroadcast.worker.rtmp.amf0 import Encodable
from rebroadcast.worker.rtmp.client import RtmpConnection

PING_EVERY_S: Final = 0.5


class RtmpDial:
    """Opens publishes to one RTMP destination.

    Raises (at construction):
        ValueError: the URL is of no use; the message holds no key.
    """

    def __init__(
        self,
        url: str,
        audio: AudioEncoder,
        *,
        metadata: Mapping[str, Encodable],
        tls: ssl.SSLContext | None,
        clock: Callable[[], float],
    ) -> None:
        self._target = RtmpTarget.parse(url)
        self._header = flv.aac_header(audio.parameters)
        self._metadata = metadata
        self._tls = tls
        self._clock = clock

    async def __call__(self, address: Address) -> "RtmpLink":
        """A publish that the server accepted."""
        connection = await RtmpConnection.open(self._target, address, clock=self._clock, tls=self._tls)
        connection.send_audio(self._header, 0)
        return RtmpLink(connection, self._metadata, self._clock)


class RtmpLink:
    """A link (see `link.Link`) over one publish."""

    patience_s = ACKNOWLEDGED_WITHIN_S
    survives_cut = True

    def __init__(
        self, connection: RtmpConnection, metadata: Mapping[str, Encodable], clock: Callable[[], float]
    ) -> None:
        self._connection = connection
        self._metadata = metadata
        self._clock = clock
        self._format: VideoFormat | None = None
        self._base_ms: int | None = None
        self._next_ping = 0.0

    @property
    def queued_bytes(self) -> int:
        """All bytes handed to this connection since it opened."""
        return self._connection.queued_bytes

    def backlog_bytes(self) -> int:
        """Bytes that wait in this process, before the kernel."""
        return self._connection.backlog_bytes()

    def acknowledged_bytes(self) -> int:
        """Bytes that the other host's TCP acknowledged."""
        return self._connection.acknowledged_bytes()

    def taken_bytes(self) -> int:
        """Bytes that the server has read, see `RtmpConnection.read_bytes`; asks it again now and then."""
        if self._clock() >= self._next_ping:
            self._next_ping = self._clock() + PING_EVERY_S
            self._connection.ping()
        return self._connection.read_bytes()

    def send(self, frame: EncodedVideo | EncodedAudio) -> None:
        """Queues one frame, and what a player must know before the first picture of another format."""
        rate = VIDEO_CLOCK if isinstance(frame, EncodedVideo) else SAMPLE_RATE
        at_ms = frame.pts * 1000 // rate
        if self._base_ms is None:
            self._base_ms = at_ms
        at_ms = max(at_ms - self._base_ms, 0)
        try:
            if isinstance(frame, EncodedAudio):
                self._connection.send_audio(flv.aac_frame(frame.data), at_ms)
                return
            if frame.format is not self._format:
                self._begin_format(frame.format, at_ms)
            self._connection.send_video(flv.avc_frame(frame.data, is_keyframe=frame.is_keyframe), at_ms)
        except flv.FlvError as error:
            raise LinkError(str(error)) from error

    def _begin_format(self, video: VideoFormat, at_ms: int) -> None:
        width, height = video.size
        self._connection.send_metadata({**self._metadata, "width": float(width), "height": float(height)})
        self._connection.send_video(flv.avc_header(flv.avc_configuration(video.parameters)), at_ms)
        self._format = video

    def forget(self) -> None:
        """Nothing waits here: what was sent is the connection's."""

    async def run(self) -> None:
        """Reads what the server says until it ends the session."""
        await self._connection.run(self._clock)

    def abort(self) -> None:
        """Resets the connection."""
        self._connection.abort()

    async def reset(self) -> None:
        """Resets it and waits until the socket is gone."""
        await self._connection.reset()

    async def aclose(self) -> None:
        """Ends the publish politely."""
        await self._connection.aclose()
