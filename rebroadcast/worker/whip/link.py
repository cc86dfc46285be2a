"""WHIP as a link: the program's own H.264 or VP8 and its sound as Opus, over a peer connection of aiortc.

What was sent can be asked for again, so nothing of a connection survives a cut: it is made anew.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from typing import Any, Final, TypeAlias

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from av.packet import Packet

from media.mixer import SAMPLE_RATE
from rebroadcast.url_policy import UrlPolicy
from rebroadcast.worker.encode import VIDEO_CLOCK, AudioEncoder, EncodedAudio, EncodedVideo, VideoCodec
from rebroadcast.worker.link import ACKNOWLEDGED_WITHIN_S, Address, LinkError
from rebroadcast.worker.whip.answer import judge
from rebroadcast.worker.whip.http import WhipResource

CONNECT_TIMEOUT_S: Final = 15.0
PATIENCE_MOST_S: Final = 5.0
_LATE: Final = 1.5
_PAUSES: Final = 16
_PAUSES_KNOWN: Final = 3
_LOOK_S: Final = 0.1
_ASK_AGAIN_S: Final = 1.0
_FRAMES_WAITING: Final = 120

_VIDEO: Final[dict[VideoCodec, str]] = {"h264": "video/H264", "vp8": "video/VP8"}

Item: TypeAlias = "Packet[Any] | av.AudioFrame"
"""What a track is given: pictures encoded, sound to encode."""


class WhipDial:
    """Opens publishes at one WHIP endpoint."""

    def __init__(
        self,
        url: str,
        token: str,
        audio: AudioEncoder,
        *,
        tls: ssl.SSLContext,
        allow_private: bool,
        clock: Callable[[], float],
        codec: VideoCodec = "h264",
    ) -> None:
        self._codec = _VIDEO[codec]
        self._url = url
        self._token = token
        self._audio = audio
        self._tls = tls
        self._policy = UrlPolicy(allow_private=allow_private)
        self._clock = clock

    async def __call__(self, address: Address) -> "WhipLink":
        """A publish whose media connection stands."""
        resource = WhipResource(self._url, self._token, address, self._tls)
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        video, sound = _Feed("video"), _Feed("audio")
        try:
            await self._connect(connection, resource, video, sound)
        except BaseException:
            await connection.close()
            await resource.end(is_polite=True)
            raise
        return WhipLink(connection, resource, video, sound, self._audio, clock=self._clock)

    async def _connect(
        self, connection: RTCPeerConnection, resource: WhipResource, video: "_Feed", sound: "_Feed"
    ) -> None:
        for track, kind, codec in ((sound, "audio", "audio/opus"), (video, "video", self._codec)):
            transceiver = connection.addTransceiver(track, direction="sendonly")
            known = RTCRtpSender.getCapabilities(kind).codecs
            transceiver.setCodecPreferences([one for one in known if one.mimeType == codec])
        await connection.setLocalDescription(await connection.createOffer())
        answer = await resource.publish(connection.localDescription.sdp)
        try:
            judge(answer, self._policy)
            await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        except LinkError:
            raise
        except Exception as error:  # whatever a library's parser makes of a stranger's text
            raise LinkError("the site's answer does not fit the offer") from error
        deadline = self._clock() + CONNECT_TIMEOUT_S
        while connection.connectionState != "connected":
            if connection.connectionState in {"failed", "closed"} or self._clock() > deadline:
                raise LinkError("no media connection to the site")
            await asyncio.sleep(_LOOK_S / 2)


class WhipLink:
    """A link (see `link.Link`) over one peer connection."""

    survives_cut = False

    def __init__(
        self,
        connection: RTCPeerConnection,
        resource: WhipResource,
        video: "_Feed",
        sound: "_Feed",
        audio: AudioEncoder,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._connection = connection
        self._resource = resource
        self._video = video
        self._sound = sound
        self._decoder = av.CodecContext.create("aac", "r")
        self._decoder.extradata = audio.parameters
        self._resampler = av.AudioResampler(format="s16", layout="stereo", rate=SAMPLE_RATE)
        """Into what the connection's Opus encoder takes."""
        self._queued = 0
        self._acknowledged = 0
        self._reported_at: datetime | None = None
        self._heard_at = clock()
        self._pauses_s: deque[float] = deque(maxlen=_PAUSES)
        self._ended = asyncio.Event()

    @property
    def patience_s(self) -> float:
        """Somewhat longer than the receiver's reports have been apart of late (RFC 3550 section 6.2).

        The longest pause does not count: one that hung for a moment reports no more seldom than before.
        """
        if len(self._pauses_s) < _PAUSES_KNOWN:
            return PATIENCE_MOST_S
        return min(max(_LATE * sorted(self._pauses_s)[-2], ACKNOWLEDGED_WITHIN_S), PATIENCE_MOST_S)

    @property
    def queued_bytes(self) -> int:
        """All bytes handed to this connection since it opened."""
        return self._queued

    def backlog_bytes(self) -> int:
        """Datagrams do not wait."""
        return 0

    def acknowledged_bytes(self) -> int:
        """The share of what was sent that the receiver's newest report says it has."""
        return self._acknowledged

    def taken_bytes(self) -> int:
        """As acknowledged."""
        return self.acknowledged_bytes()

    def send(self, frame: EncodedVideo | EncodedAudio) -> None:
        """Queues one frame."""
        if self._ended.is_set():
            return
        self._queued += len(frame.data)
        if isinstance(frame, EncodedVideo):
            packet = Packet((frame.format.parameters if frame.is_keyframe else b"") + frame.data)
            packet.pts, packet.time_base = frame.pts, Fraction(1, VIDEO_CLOCK)
            self._video.put(packet)
            return
        for decoded in self._decoder.decode(Packet(frame.data)):
            decoded.pts, decoded.time_base = frame.pts, Fraction(1, SAMPLE_RATE)
            for sound in self._resampler.resample(decoded):
                self._sound.put(sound)

    def forget(self) -> None:
        """Drops what the sender has not taken."""
        self._video.clear()
        self._sound.clear()

    async def run(self) -> None:
        """Reads the receiver's reports until the connection ends; of a silent site it asks if it is gone."""
        await self._resource.learn()
        asked_at = self._heard_at = self._clock()
        while not self._ended.is_set():
            if self._connection.connectionState in {"failed", "closed"}:
                raise LinkError("the media connection to the site broke")
            await self._read_reports()
            now = self._clock()
            if now - self._heard_at > self.patience_s and now - asked_at > _ASK_AGAIN_S:
                asked_at = now
                if await self._resource.is_gone():
                    raise LinkError("the site is gone, or has forgotten the publish")
            await asyncio.sleep(_LOOK_S)
        raise LinkError("the connection was closed")

    async def _read_reports(self) -> None:
        sent, received, at = 0, 0, None
        for stats in (await self._connection.getStats()).values():
            if stats.type == "outbound-rtp":
                sent += stats.packetsSent
            elif stats.type == "remote-inbound-rtp":
                # Of picture or sound: when one report is lost the next is soon there.
                received += stats.packetsReceived
                at = stats.timestamp if at is None else max(at, stats.timestamp)
        if at is not None and at != self._reported_at and sent:
            if self._reported_at is not None:
                self._pauses_s.append((at - self._reported_at).total_seconds())
            self._reported_at, self._heard_at = at, self._clock()
            share = min(max(received, 0) / sent, 1.0)
            self._acknowledged = max(self._acknowledged, int(self._queued * share))

    def abort(self) -> None:
        """Nothing is sent any more; `reset` frees what it holds."""
        self._ended.set()
        self.forget()
        self._video.stop()
        self._sound.stop()

    async def reset(self) -> None:
        """Closes it."""
        self.abort()
        await self._connection.close()
        await self._resource.end(is_polite=True)

    async def aclose(self) -> None:
        """Ends the publish."""
        await self.reset()


class _Feed(MediaStreamTrack):
    """A track of what it is given; the oldest goes when the sender does not take it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__()
        self._queue: asyncio.Queue[Item] = asyncio.Queue(_FRAMES_WAITING)

    def put(self, item: Item) -> None:
        """Hands over one frame."""
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(item)

    def clear(self) -> None:
        """Drops what waits."""
        while not self._queue.empty():
            self._queue.get_nowait()

    async def recv(self) -> Item:
        """The next frame, when there is one."""
        return await self._queue.get()
