"""HLS from the program: parts with the people in them, sent to the server's window.

A part holds whole frames of at most the part's length; a segment is the parts from one keyframe to another.
What is open lives here only, so a cut simply forgets it.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from rebroadcast.worker.encode import VIDEO_CLOCK, AudioEncoder, EncodedAudio, EncodedVideo, VideoFormat
from rebroadcast.worker.feed import Epoch, FeedItem
from rebroadcast.worker.fragments import codecs, init_segment, part
from rebroadcast.worker.messages import HLS_PIECE_BYTES, HLS_SEGMENT_MAX_BYTES, HlsPiece, HlsStart

log = structlog.get_logger()

_LONG_ENOUGH: Final = 0.75
"""Share of the wanted length from which a segment ends at the next keyframe."""
_SOUND_MOST_FRAMES: Final = 1_000
_OUTBOX_MAX_BYTES: Final = 2 * HLS_SEGMENT_MAX_BYTES


class HlsOutput:
    """Cuts the feed into parts, and at its keyframes into segments. Lives on the event loop."""

    def __init__(
        self,
        output_id: str,
        audio: AudioEncoder,
        epoch: Epoch,
        send: Callable[[msgspec.Struct], None],
        *,
        has_room: Callable[[], bool],
        segment_s: float,
        part_s: float,
        origin_ms: int = 0,
    ) -> None:
        """`has_room`: whether the server has taken most of what was sent; until then parts wait here.

        `origin_ms`: Unix time of the program's beginning, where all its times count from.
        """
        self._id = output_id
        self._audio = audio
        self._epoch = epoch
        self._send = send
        self._has_room = has_room
        self._segment_s = segment_s
        self._part_ticks = round(part_s * VIDEO_CLOCK)
        self._origin_ms = origin_ms
        self._format: VideoFormat | None = None
        self._format_epoch = 0
        self._number = 0
        self._segment_at = 0
        self._segment_bytes = 0
        self._pictures: list[EncodedVideo] = []
        self._sound: list[EncodedAudio] = []
        self._persons: frozenset[str] = frozenset()
        self._outbox: deque[HlsStart | HlsPiece] = deque()

    def feed(self, item: FeedItem) -> None:
        """Takes a frame; a part goes out when the picture after it is here, whose time ends it."""
        frame = item.frame
        if item.epoch != self._epoch.now():
            self._forget()
        elif isinstance(frame, EncodedVideo):
            self._picture(frame, item)
        elif self._format is not None and self._format_epoch == item.epoch:
            self._sound.append(frame)
            self._persons |= item.persons
            if len(self._sound) > _SOUND_MOST_FRAMES:  # sound alone is no part
                self._forget()
        self._post()

    def _picture(self, frame: EncodedVideo, item: FeedItem) -> None:
        if self._format is not None and self._format_epoch != item.epoch:
            self._forget()
        if self._format is not frame.format:
            self._end_part(frame.pts, ends_segment=True)
            if not frame.is_keyframe:
                self._forget()
                return
            self._start(frame, item.epoch)
        elif self._pictures:
            length_s = (frame.pts - self._segment_at) / VIDEO_CLOCK
            is_long = length_s >= _LONG_ENOUGH * self._segment_s
            is_large = self._segment_bytes > HLS_SEGMENT_MAX_BYTES // 2
            if frame.is_keyframe and (is_long or is_large):
                self._end_part(frame.pts, ends_segment=True)
                self._segment_at, self._segment_bytes = frame.pts, 0
            elif frame.pts + frame.duration - self._pictures[0].pts > self._part_ticks:
                self._end_part(frame.pts, ends_segment=False)
        self._pictures.append(frame)
        self._persons |= item.persons
        self._segment_bytes += len(frame.data)
        if self._segment_bytes > HLS_SEGMENT_MAX_BYTES:
            log.warning("hls_segment_refused", reason="no keyframe came", count=self._segment_bytes)
            self._forget()

    async def cut(self, epoch: int) -> None:
        """Forgets what is open; the next keyframe begins anew."""
        if self._format_epoch < epoch:
            self._forget()

    async def close(self, *, is_polite: bool = True) -> None:
        """Forgets what is open."""
        del is_polite
        self._forget()

    def _start(self, frame: EncodedVideo, epoch: int) -> None:
        self._format, self._format_epoch = frame.format, epoch
        self._segment_at, self._segment_bytes = frame.pts, 0
        width, height = frame.format.size
        init = init_segment(frame.format, self._audio)
        self._outbox.append(
            HlsStart(self._id, init, epoch, codecs(frame.format), width, height, self._origin_ms)
        )

    def _end_part(self, at: int, *, ends_segment: bool) -> None:
        """Sends what is open; `at`: where its last picture ends."""
        if not self._pictures:
            self._sound.clear()
            return
        ends = [*(frame.pts for frame in self._pictures[1:]), at]
        timed = [(frame, max(end - frame.pts, 1)) for frame, end in zip(self._pictures, ends, strict=True)]
        self._number += 1
        data = part(self._number, timed, self._sound)
        first = self._pictures[0]
        for start in range(0, len(data), HLS_PIECE_BYTES):
            piece = data[start : start + HLS_PIECE_BYTES]
            self._outbox.append(
                HlsPiece(
                    self._id,
                    piece,
                    self._format_epoch,
                    is_last=start + HLS_PIECE_BYTES >= len(data),
                    at_s=first.pts / VIDEO_CLOCK,
                    duration_s=(at - first.pts) / VIDEO_CLOCK,
                    persons=tuple(sorted(self._persons)),
                    is_independent=first.is_keyframe,
                    ends_segment=ends_segment,
                )
            )
        self._pictures, self._sound, self._persons = [], [], frozenset()

    def _forget(self) -> None:
        self._format = None
        self._pictures, self._sound, self._persons = [], [], frozenset()
        self._segment_bytes = 0
        self._outbox.clear()

    def _post(self) -> None:
        """Sends as the server takes it: a long part at once would be more than the channel holds."""
        while self._outbox and self._has_room():
            self._send(self._outbox.popleft())
        if sum(len(item.data) for item in self._outbox if isinstance(item, HlsPiece)) > _OUTBOX_MAX_BYTES:
            log.warning("hls_segment_refused", reason="the server does not take it", count=len(self._outbox))
            self._forget()
