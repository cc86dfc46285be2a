"""One RTMP destination: connects, feeds, watches what is acknowledged, and tries again for ever."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Final

import msgspec

from media.mixer import SAMPLE_RATE
from rebroadcast.worker import flv
from rebroadcast.worker.destination import Connect, Destination, Disconnect, StateChanged
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
        metadata: dict[str, Encodable],
        rng: Random,
        clock: Callable[[], float],
    ) -> None:
        self._id = config.id
        self._target = RtmpTarget.parse(config.url)
        self._addresses = [Address(host, port) for host, port in config.addresses]
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
        self._acknowledged_before = 0
        self._end_reason = ""
        self.dropped_frames = 0

    async def run(self) -> None:
        """Connects and reconnects until cancelled."""
        self._machine.start(self._clock())
        attempt = 0
        while True:
            if self._wants_connection():
                await self._serve(self._addresses[attempt % len(self._addresses)])
                attempt += 1
            deadline = self._machine.deadline()
            await asyncio.sleep(_WATCH_S if deadline is None else max(deadline - self._clock(), 0.0))
            self._machine.tick(self._clock())

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
                    connection.send_video(
                        flv.avc_header(flv.avc_configuration(frame.format.parameters)), at_ms
                    )
                    self._format = frame.format
                connection.send_video(flv.avc_frame(frame.data, is_keyframe=frame.is_keyframe), at_ms)
            else:
                connection.send_audio(flv.aac_frame(frame.data), at_ms)
        except (RtmpError, flv.FlvError):
            self._connection = None  # `run` reads the end of the connection and reports it

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
                self._connection = None
                self._end_reason = "reset: the site had not taken what was sent before a revocation"
                connection.abort()
                return
            await asyncio.sleep(_CUT_POLL_S)

    async def close(self) -> None:
        """Ends the publish politely."""
        connection, self._connection = self._connection, None
        self._machine.stop()
        self._tell()
        if connection is not None:
            await connection.aclose()

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
                    watch.cancel()
        except* RtmpError as errors:
            reason = "; ".join(str(error) for error in errors.exceptions)
            self._machine.closed(self._end_reason or reason, self._clock())
        finally:
            self._connection = None
            self._tell()
            if connection is not None:
                self._acknowledged_before += connection.acknowledged_bytes()
                await connection.reset()

    def _begin(self, connection: RtmpConnection) -> None:
        connection.send_metadata(self._metadata)
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
            acknowledged = connection.acknowledged_bytes()
            is_waiting = acknowledged < connection.queued_bytes
            media = max(acknowledged - self._media_from, 0)
            now = self._clock()
            self._machine.acknowledged(media, is_waiting=is_waiting, now=now)
            self._machine.tick(now)
            if any(isinstance(effect, Disconnect) for effect in self._tell()):
                connection.abort()
            await asyncio.sleep(_WATCH_S)

    def _tell(self) -> list[Connect | Disconnect | StateChanged]:
        """Reports state changes; returns all effects for the caller to act on."""
        effects = self._machine.poll()
        for effect in effects:
            if isinstance(effect, StateChanged):
                live = self._connection.acknowledged_bytes() if self._connection is not None else 0
                total = self._acknowledged_before + live
                self._send(OutputState(self._id, effect.state.value, effect.reason, total))
        return effects
