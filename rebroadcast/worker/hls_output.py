"""HLS from the program: fragments with the people in them, sent to the server's window."""

from collections import deque
from collections.abc import Callable

import msgspec

from rebroadcast.worker.encode import VIDEO_CLOCK, AudioEncoder, EncodedVideo, Fmp4Part
from rebroadcast.worker.feed import Epoch, FeedItem
from rebroadcast.worker.messages import HLS_PIECE_BYTES, HlsPiece, HlsStart, OutputState


class HlsOutput:
    """Cuts the feed at its keyframes; the open segment lives here only, so a cut simply forgets it."""

    def __init__(
        self, output_id: str, audio: AudioEncoder, epoch: Epoch, send: Callable[[msgspec.Struct], None]
    ) -> None:
        self._id = output_id
        self._audio = audio
        self._epoch = epoch
        self._send = send
        self._part: Fmp4Part | None = None
        self._part_epoch = 0
        self._opened_at = 0
        self._persons: frozenset[str] = frozenset()
        self._persons_before: frozenset[str] = frozenset()
        self._ended: deque[tuple[float, frozenset[str]]] = deque()
        self._sent_bytes = 0

    def feed(self, item: FeedItem) -> None:
        """Takes a frame; a fragment goes out when its successor's keyframe arrives."""
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
                self._end_segment(frame.pts)
            self._persons |= item.persons
            fragment = self._part.add_video(frame)
        else:
            self._persons |= item.persons
            fragment = self._part.add_audio(frame)
        if fragment and self._ended:
            self._send_segment(fragment, *self._ended.popleft())

    async def cut(self, epoch: int) -> None:
        """Forgets the open segment; the next keyframe begins a new part."""
        if self._part_epoch < epoch:
            self._drop_part()

    async def close(self) -> None:
        """Forgets what is open: a segment is whole or it is not."""
        self._drop_part()
        self._send(OutputState(self._id, "stopped", "", self._sent_bytes))

    def _start_part(self, frame: EncodedVideo, epoch: int) -> Fmp4Part:
        part = Fmp4Part(frame.format, self._audio)
        self._part_epoch = epoch
        self._opened_at = frame.pts
        self._persons = self._persons_before = frozenset()
        self._ended.clear()
        self._send(HlsStart(self._id, part.init, epoch))
        return part

    def _finish_part(self, at: int) -> None:
        """Another format begins: what is open is a segment of its own."""
        if self._part is None:
            return
        self._end_segment(at)
        duration_s = sum(duration_s for duration_s, _ in self._ended)
        persons = frozenset[str]().union(*(persons for _, persons in self._ended))
        fragments = self._part.finish()
        self._part = None
        if fragments:
            self._send_segment(fragments, duration_s, persons)

    def _drop_part(self) -> None:
        if self._part is not None:
            self._part.finish()
            self._part = None

    def _end_segment(self, at: int) -> None:
        """Notes the segment that a keyframe at `at` ends; the muxer hands its bytes out a little later."""
        # The muxer may let sound of the neighbouring segment in: both segments' people count.
        self._ended.append(((at - self._opened_at) / VIDEO_CLOCK, self._persons | self._persons_before))
        self._persons_before, self._persons = self._persons, frozenset()
        self._opened_at = at

    def _send_segment(self, data: bytes, duration_s: float, persons: frozenset[str]) -> None:
        named = tuple(sorted(persons))
        for start in range(0, len(data), HLS_PIECE_BYTES):
            piece = data[start : start + HLS_PIECE_BYTES]
            is_last = start + HLS_PIECE_BYTES >= len(data)
            self._send(HlsPiece(self._id, piece, self._part_epoch, is_last, duration_s, named))
        if self._sent_bytes == 0:
            self._send(OutputState(self._id, "live", "", len(data)))
        self._sent_bytes += len(data)
