"""HLS from the program: segments with the people in them, sent to the server's window."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from rebroadcast.worker.encode import VIDEO_CLOCK, AudioEncoder, EncodedVideo, Fmp4Part
from rebroadcast.worker.feed import Epoch, FeedItem
from rebroadcast.worker.messages import HLS_PIECE_BYTES, HLS_SEGMENT_MAX_BYTES, HlsPiece, HlsStart

log = structlog.get_logger()

_LONG_ENOUGH: Final = 0.75
"""Share of the wanted length from which a segment ends at the next keyframe."""
_OUTBOX_MAX_BYTES: Final = 2 * HLS_SEGMENT_MAX_BYTES


@dataclass(frozen=True, slots=True)
class _Fragment:
    """What lies between two keyframes."""

    duration_s: float
    persons: frozenset[str]


class HlsOutput:
    """Cuts the feed at its keyframes; the open segment lives here only, so a cut simply forgets it."""

    def __init__(
        self,
        output_id: str,
        audio: AudioEncoder,
        epoch: Epoch,
        send: Callable[[msgspec.Struct], None],
        *,
        has_room: Callable[[], bool],
        segment_s: float,
    ) -> None:
        """`has_room`: whether the server has taken most of what was sent; until then segments wait here."""
        self._id = output_id
        self._audio = audio
        self._epoch = epoch
        self._send = send
        self._has_room = has_room
        self._segment_s = segment_s
        self._part: Fmp4Part | None = None
        self._part_epoch = 0
        self._opened_at = 0
        self._persons: frozenset[str] = frozenset()
        self._persons_before: frozenset[str] = frozenset()
        self._in_muxer: deque[_Fragment] = deque()
        self._muxer_bytes = 0
        self._gathered: list[tuple[_Fragment, bytes]] = []
        self._outbox: deque[HlsStart | HlsPiece] = deque()

    def feed(self, item: FeedItem) -> None:
        """Takes a frame; a fragment comes out of the muxer when its successor's keyframe arrives."""
        self._mux(item)
        self._post()

    def _mux(self, item: FeedItem) -> None:
        if item.epoch != self._epoch.now():
            self._drop_part()
            return
        frame = item.frame
        if self._part is not None and self._part_epoch != item.epoch:
            self._drop_part()
        if (
            isinstance(frame, EncodedVideo)
            and self._part is not None
            and self._part.format is not frame.format
        ):
            self._finish_part(frame.pts)
        if self._part is None:
            if not (isinstance(frame, EncodedVideo) and frame.is_keyframe):
                return
            self._part = self._start_part(frame, item.epoch)
        if isinstance(frame, EncodedVideo):
            if frame.is_keyframe and frame.pts > self._opened_at:
                self._end_fragment(frame.pts)
            self._persons |= item.persons
            fragment = self._part.add_video(frame)
        else:
            self._persons |= item.persons
            fragment = self._part.add_audio(frame)
        self._muxer_bytes += len(frame.data)
        if fragment and self._in_muxer:
            self._muxer_bytes = 0
            self._gather(self._in_muxer.popleft(), fragment)
        elif self._muxer_bytes > HLS_SEGMENT_MAX_BYTES:
            log.warning("hls_segment_refused", reason="no keyframe came", count=self._muxer_bytes)
            self._drop_part()

    async def cut(self, epoch: int) -> None:
        """Forgets the open segment; the next keyframe begins a new part."""
        if self._part_epoch < epoch:
            self._drop_part()

    async def close(self, *, is_polite: bool = True) -> None:
        """Forgets what is open: a segment is whole or it is not."""
        del is_polite
        self._drop_part()

    def _start_part(self, frame: EncodedVideo, epoch: int) -> Fmp4Part:
        part = Fmp4Part(frame.format, self._audio)
        self._part_epoch = epoch
        self._opened_at = frame.pts
        self._outbox.append(HlsStart(self._id, part.init, epoch))
        return part

    def _finish_part(self, at: int) -> None:
        """Another format begins: what is open is a segment of its own, however short."""
        part, self._part = self._part, None
        if part is None:
            return
        self._end_fragment(at)
        rest = part.finish()
        duration_s = sum(fragment.duration_s for fragment in self._in_muxer)
        persons = frozenset[str]().union(*(fragment.persons for fragment in self._in_muxer))
        if rest:
            self._gathered.append((_Fragment(duration_s, persons), rest))
        self._send_segment()
        self._forget()

    def _drop_part(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            part.finish()
        self._forget()
        self._outbox.clear()

    def _forget(self) -> None:
        self._persons = self._persons_before = frozenset()
        self._in_muxer.clear()
        self._muxer_bytes = 0
        self._gathered.clear()

    def _end_fragment(self, at: int) -> None:
        """Notes the fragment that a keyframe at `at` ends; the muxer hands its bytes out a little later."""
        # The muxer may let sound of the neighbouring fragment in: both fragments' people count.
        persons = self._persons | self._persons_before
        self._in_muxer.append(_Fragment((at - self._opened_at) / VIDEO_CLOCK, persons))
        self._persons_before, self._persons = self._persons, frozenset()
        self._opened_at = at

    def _gather(self, fragment: _Fragment, data: bytes) -> None:
        """A publisher's keyframes come when they like: fragments make one segment until it is long enough."""
        self._gathered.append((fragment, data))
        length_s = sum(fragment.duration_s for fragment, _ in self._gathered)
        size = sum(len(data) for _, data in self._gathered)
        if length_s >= _LONG_ENOUGH * self._segment_s or size > HLS_SEGMENT_MAX_BYTES // 2:
            self._send_segment()

    def _send_segment(self) -> None:
        duration_s = sum(fragment.duration_s for fragment, _ in self._gathered)
        named = tuple(sorted(frozenset[str]().union(*(fragment.persons for fragment, _ in self._gathered))))
        data = b"".join(data for _, data in self._gathered)
        self._gathered.clear()
        for start in range(0, len(data), HLS_PIECE_BYTES):
            piece = data[start : start + HLS_PIECE_BYTES]
            is_last = start + HLS_PIECE_BYTES >= len(data)
            self._outbox.append(HlsPiece(self._id, piece, self._part_epoch, is_last, duration_s, named))

    def _post(self) -> None:
        """Sends as the server takes it: a long segment at once would be more than the channel holds."""
        while self._outbox and self._has_room():
            self._send(self._outbox.popleft())
        if sum(len(item.data) for item in self._outbox if isinstance(item, HlsPiece)) > _OUTBOX_MAX_BYTES:
            log.warning("hls_segment_refused", reason="the server does not take it", count=len(self._outbox))
            self._drop_part()
