"""aiortc peers as clients of a router: one that shows a colour and plays a tone, one that decodes."""

import asyncio
import fractions
from types import TracebackType
from typing import Self

import numpy as np
from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from sfu import PeerId, PublishAnswer, Router, SubscriberId, TrackId

Colour = tuple[int, int, int]
# With MAX_BUNDLE aiortc reads candidates from the last section, where a bundle has none.
_CONFIGURATION = RTCConfiguration(iceServers=[])


class ColourTrack(VideoStreamTrack):
    """One colour, 160 x 96, 30 frames a second."""

    def __init__(self, colour: Colour) -> None:
        super().__init__()
        self._picture = np.full((96, 160, 3), colour, dtype=np.uint8)

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(self._picture, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class ToneTrack(AudioStreamTrack):
    """A sine at half loudness."""

    def __init__(self, hz: int) -> None:
        super().__init__()
        self._hz = hz
        self._at = 0

    async def recv(self) -> AudioFrame:
        silence = await super().recv()
        rate, count = silence.sample_rate, silence.samples
        phase = 2 * np.pi * self._hz * (self._at + np.arange(count)) / rate
        self._at += count
        wave = (0.5 * 32767 * np.sin(phase)).astype(np.int16).reshape(1, -1)
        frame = AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.pts, frame.sample_rate, frame.time_base = silence.pts, rate, fractions.Fraction(1, rate)
        return frame


class Peer:
    """One peer connection; use as a context."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self.pc = RTCPeerConnection(_CONFIGURATION)
        self.colours: list[Colour] = []
        self.loudness: list[float] = []
        self._readers: set[asyncio.Task[None]] = set()
        self.pc.on("track", self._read)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.pc.close()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def publish(self, owner: str, colour: Colour, hz: int) -> dict[str, TrackId]:
        """Send one colour and one tone."""
        self.pc.addTrack(ToneTrack(hz))
        self.pc.addTrack(ColourTrack(colour))
        answer = await self.offer(owner)
        return {track.kind: track.track for track in answer.tracks}

    async def offer(self, owner: str, peer: PeerId | None = None) -> PublishAnswer:
        """Offer what the connection has now."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        answer = await self.router.publish(owner, self.pc.localDescription.sdp, peer=peer)
        await self.pc.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        return answer

    async def subscribe(self, owner: str, *tracks: TrackId) -> SubscriberId:
        """Receive and decode tracks."""
        sub = await self.router.subscriber(owner)
        for track in tracks:
            await self.router.subscribe(sub, track)
        await self.settle(sub)
        return sub

    async def settle(self, sub: SubscriberId) -> None:
        """Answer the offer that waits."""
        offer = await self.router.offer(sub)
        assert offer is not None
        await self.pc.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        await self.router.answer(sub, offer.version, self.pc.localDescription.sdp)

    def _read(self, track: MediaStreamTrack) -> None:
        task = asyncio.get_running_loop().create_task(self._decode(track))
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def _decode(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if isinstance(frame, VideoFrame):
                red, green, blue = frame.to_ndarray(format="rgb24").mean(axis=(0, 1))
                self.colours.append((round(red), round(green), round(blue)))
            elif isinstance(frame, AudioFrame):
                self.loudness.append(float(np.abs(frame.to_ndarray()).max()) / 32767)
