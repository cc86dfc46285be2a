"""One RTMP destination: connects, feeds, watches what is acknowledged, and tries again for ever."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

import msgspec

from media.mixer import SAMPLE_RATE
from rebroadcast.worker import flv
from rebroadcast.worker.destination import (
    Connect,
    Destination,
    DestinationState,
    Disconnect,
    StateChanged,
)
from rebroadcast.worker.encode import VIDEO_CLOCK, AudioEncoder, EncodedVideo, VideoFormat
from rebroadcast.worker.feed import Epoch, FeedItem
from rebroadcast.worker.messages import OutputConfig, OutputState
from rebroadcast.worker.rtmp import RtmpTarget
from rebroadcast.worker.rtmp.amf0 import Encodable
from rebroadcast.worker.rtmp.client import Address, RtmpConnection, RtmpError

BACKLOG_MAX_BYTES: Final = 1 << 20
CUT_DEADLINE_S: Final = 0.08
_CUT_POLL_S: Final = 0.005
_WATCH_S: Final = 0.25
_TELL_S: Final = 1.0
"""How often the bytes that a live site acknowledged are reported."""


class RtmpOutput:
    """Feeds one destination. When the site is slow, whole groups of pictures are dropped; nothing else waits.

    `run` is its one task; `feed`, `cut` and `close` are called on the same event loop.
    """

    def __init__(
        self,
        config: OutputConfig,
        audio: AudioEncoder,
        epoch: Epoch,
        send: Callable[[msgspec.Struct], None],
        *,
        metadata: Mapping[str, Encodable],
        rng: Random,
        clock: Callable[[], float],
    ) -> None:
        self._id = config.id
        self._target = RtmpTarget.parse(config.url)
        self.move(config.addresses)
        self._epoch = epoch
        self._send = send
        self._metadata = metadata
        self._clock = clock
        self._audio_header = flv.aac_header(audio.parameters)
        self._format: VideoFormat | None = None
        self._machine = Destination(rng=rng)
        self._connection: RtmpConnection | None = None
        self._is_waiting_for_key = True
        self._base_ms: int | None = None
        self._media_from = 0
        self._acknowledged = 0
        self._acknowledged_before = 0
        self._told_at = 0.0
        self._end_reason = ""
        self.dropped_frames = 0

    async def run(self) -> None:
        """Connects and reconnects until `close`."""
        self._machine.start(self._clock())
        attempt = 0
        # Cancelling alone may be lost: a task group that is ending with an error swallows it.
        while self._machine.state is not DestinationState.STOPPED:
            if self._wants_connection():
                await self._serve(self._addresses[attempt % len(self._addresses)])
                attempt += 1
            deadline = self._machine.deadline()
            await asyncio.sleep(_WATCH_S if deadline is None else max(deadline - self._clock(), 0.0))
            self._machine.tick(self._clock())

    def move(self, addresses: Sequence[tuple[str, int]]) -> None:
        """Takes the addresses that the host's name gives now, for the next attempt."""
        self._addresses = [Address(host, port) for host, port in addresses]

    def feed(self, item: FeedItem) -> None:
        """Sends one frame now, or drops it."""
        connection = self._connection
        if connection is None:
            return
        frame = item.frame
        is_key = isinstance(frame, EncodedVideo) and frame.is_keyframe
        if item.epoch != self._epoch.now() or connection.backlog_bytes() > BACKLOG_MAX_BYTES:
            self._is_waiting_for_key = True
        if self._is_waiting_for_key and not (is_key and item.epoch == self._epoch.now()):
            self.dropped_frames += 1
            return
        if connection.backlog_bytes() > BACKLOG_MAX_BYTES:
            self.dropped_frames += 1
            return
        self._is_waiting_for_key = False
        rate = VIDEO_CLOCK if isinstance(frame, EncodedVideo) else SAMPLE_RATE
        at_ms = frame.pts * 1000 // rate
        if self._base_ms is None:
            self._base_ms = at_ms
        at_ms = max(at_ms - self._base_ms, 0)
        try:
            if isinstance(frame, EncodedVideo):
                if frame.format is not self._format:
                    self._begin_format(connection, frame.format, at_ms)
                connection.send_video(flv.avc_frame(frame.data, is_keyframe=frame.is_keyframe), at_ms)
            else:
                connection.send_audio(flv.aac_frame(frame.data), at_ms)
        except (RtmpError, flv.FlvError) as error:
            self._end(connection, f"reset: {error}")

    def _begin_format(self, connection: RtmpConnection, video: VideoFormat, at_ms: int) -> None:
        """What a player must know before the first picture of another format."""
        width, height = video.size
        connection.send_metadata({**self._metadata, "width": float(width), "height": float(height)})
        connection.send_video(flv.avc_header(flv.avc_configuration(video.parameters)), at_ms)
        self._format = video

    def _end(self, connection: RtmpConnection, reason: str) -> None:
        """Resets the connection; `run` sees its end and reports it under `reason`."""
        self._connection = None
        self._end_reason = reason
        connection.abort()

    async def cut(self, epoch: int) -> None:
        """Waits a moment for the site to acknowledge what was sent, then resets the connection."""
        del epoch  # the page already shows it; frames of an older one are dropped in `feed`
        connection = self._connection
        if connection is None:
            return
        self._is_waiting_for_key = True
        sent = connection.queued_bytes
        deadline = self._clock() + CUT_DEADLINE_S
        while connection.acknowledged_bytes() < sent:
            if self._clock() >= deadline:
                self._end(connection, "reset: the site had not taken what was sent before a revocation")
                return
            await asyncio.sleep(_CUT_POLL_S)

    async def close(self, *, is_polite: bool = True) -> None:
        """Ends the publish, or just the connection when it need not be polite."""
        connection, self._connection = self._connection, None
        self._machine.stop()
        self._tell()
        if connection is not None and is_polite:
            await connection.aclose()
        elif connection is not None:
            connection.abort()

    def _wants_connection(self) -> bool:
        return any(isinstance(effect, Connect) for effect in self._tell())

    async def _serve(self, address: Address) -> None:
        """Opens one connection and stays until it ends."""
        connection: RtmpConnection | None = None
        try:
            connection = await RtmpConnection.open(self._target, address, clock=self._clock)
            self._begin(connection)
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch(connection))
                try:
                    await connection.run(self._clock)
                finally:
                    self._connection = None  # at once: what is fed from now on has nowhere to go
                    watch.cancel()
        except* RtmpError as errors:
            reason = "; ".join(str(error) for error in errors.exceptions)
            self._machine.closed(self._end_reason or reason, self._clock())
        finally:
            if connection is not None:
                self._count(connection)
                self._acknowledged_before = self._acknowledged
                await connection.reset()
            self._tell()

    def _begin(self, connection: RtmpConnection) -> None:
        connection.send_audio(self._audio_header, 0)
        self._is_waiting_for_key = True
        self._base_ms = None
        self._format = None
        self._end_reason = ""
        self._media_from = connection.queued_bytes
        self._machine.opened(self._clock())
        self._connection = connection

    async def _watch(self, connection: RtmpConnection) -> None:
        """Judges the destination by what its host acknowledged."""
        while True:
            acknowledged = self._count(connection)
            is_waiting = acknowledged < connection.queued_bytes
            media = max(acknowledged - self._media_from, 0)
            now = self._clock()
            self._machine.acknowledged(media, is_waiting=is_waiting, now=now)
            self._machine.tick(now)
            effects = self._tell()
            if any(isinstance(effect, Disconnect) for effect in effects):
                connection.abort()
            if now >= self._told_at + _TELL_S:
                self._report(self._machine.state, self._machine.reason)
            await asyncio.sleep(_WATCH_S)

    def _count(self, connection: RtmpConnection) -> int:
        """Counts what the site has acknowledged in all; what it has of this connection."""
        acknowledged = connection.acknowledged_bytes()
        self._acknowledged = max(self._acknowledged, self._acknowledged_before + acknowledged)
        return acknowledged

    def _tell(self) -> list[Connect | Disconnect | StateChanged]:
        """Reports state changes; returns all effects for the caller to act on."""
        effects = self._machine.poll()
        for effect in effects:
            if isinstance(effect, StateChanged):
                self._report(effect.state, effect.reason)
        return effects

    def _report(self, state: DestinationState, reason: str) -> None:
        self._told_at = self._clock()
        self._send(OutputState(self._id, state.value, reason, self._acknowledged))
