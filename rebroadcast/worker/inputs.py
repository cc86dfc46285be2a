"""What a program knows of one tap: its frames decoded, behind its gate. Belongs to the program's thread."""

from collections import deque
from typing import Final

import av

from media.canvas import Tile, scale
from media.clock_map import SECOND_NS, ParticipantClock
from media.decode import DecodeError, OpusDecoder, VideoDecoder
from media.gates import GatePage
from media.layout import Rect
from media.mixer import SAMPLE_RATE, Mixer
from media.tap_record import TapRecord
from media.tap_stream import MediaFrame, MediaGap, TapStream
from rebroadcast.worker.feed import SOUND_LINGERS_NS
from rebroadcast.worker.messages import OpenTap

PICTURES_WAITING: Final = 16
STALE_NS: Final = 3 * SECOND_NS
"""A picture that has not changed for so long is no longer shown: the camera is gone."""


class VideoInput:
    """Pictures of one video tap, shown at their time."""

    def __init__(self, tap: OpenTap, clock: ParticipantClock, page: GatePage, *, wait_ns: int) -> None:
        self.tap = tap
        self._page = page
        self._stream = TapStream("video", clock, wait_ns=wait_ns)
        self._decoder: VideoDecoder | None = None
        self._pictures: deque[tuple[int, av.VideoFrame]] = deque(maxlen=PICTURES_WAITING)
        self._shown: tuple[int, av.VideoFrame] | None = None
        self._tile: Tile | None = None
        self.is_muted = False

    def is_open(self) -> bool:
        """Whether the person's consent holds at this moment."""
        return self._page.is_open(self.tap.slot, self.tap.version)

    def receive(self, record: TapRecord, now_ns: int) -> bool:
        """Takes one record; returns whether a keyframe is wanted."""
        is_wanted = False
        if self.is_open() and record.header.gate_version == self.tap.version:
            items = [*self._stream.receive(record), *self._stream.tick(now_ns)]
            for item in items:
                if isinstance(item, MediaGap) and self._decoder is not None:
                    self._decoder.reset()
                    is_wanted = True
                elif isinstance(item, MediaFrame):
                    is_wanted |= self._decode(item)
        return is_wanted | self._stream.take_keyframe_wish()

    def tile(self, into: Rect, at_ns: int) -> Tile | None:
        """The picture for that time, scaled to its place; None when there is none to show."""
        while self._pictures and self._pictures[0][0] <= at_ns:
            self._shown = self._pictures.popleft()
            self._tile = None
        if self._shown is None or self.is_muted or at_ns - self._shown[0] > STALE_NS:
            return None
        if self._tile is None or not _is_inside(self._tile.rect, into):
            self._tile = scale(self._shown[1], into)
        return self._tile

    def discard(self) -> None:
        """Forgets every picture and every byte."""
        self._stream.discard()
        self._pictures.clear()
        self._shown = self._tile = self._decoder = None

    def _decode(self, item: MediaFrame) -> bool:
        if self._decoder is None or self._decoder.codec != item.codec:
            try:
                self._decoder = VideoDecoder(item.codec)
            except DecodeError:
                return False
        picture = self._decoder.decode(item.frame)
        if picture is not None:
            self._pictures.append((item.time_ns, picture))
        return self._decoder.needs_keyframe


class AudioInput:
    """Sound of one audio tap, laid on the program's sample clock."""

    def __init__(self, tap: OpenTap, clock: ParticipantClock, page: GatePage, *, wait_ns: int) -> None:
        self.tap = tap
        self._page = page
        self._stream = TapStream("audio", clock, wait_ns=wait_ns)
        self._decoder = OpusDecoder()
        self._spoke_ns = -SOUND_LINGERS_NS

    def is_open(self) -> bool:
        """Whether the person's consent holds at this moment."""
        return self._page.is_open(self.tap.slot, self.tap.version)

    def receive(self, record: TapRecord, now_ns: int, mixer: Mixer, origin_ns: int) -> None:
        """Takes one record; its sound goes to where it belongs, `origin_ns` being sample 0."""
        if not self.is_open() or record.header.gate_version != self.tap.version:
            return
        for item in [*self._stream.receive(record), *self._stream.tick(now_ns)]:
            if isinstance(item, MediaFrame):
                start = (item.time_ns - origin_ns) * SAMPLE_RATE // SECOND_NS
                mixer.push(self.tap.tap, start, self._decoder.decode(item.frame))
                self._spoke_ns = now_ns

    def is_heard(self, now_ns: int) -> bool:
        """Whether sound of this tap may be in what is mixed now."""
        return now_ns - self._spoke_ns < SOUND_LINGERS_NS

    def discard(self) -> None:
        """Forgets every byte."""
        self._stream.discard()
        self._decoder = OpusDecoder()


def _is_inside(inner: Rect, outer: Rect) -> bool:
    """Whether a scaled picture still fits its place: it touches two opposite edges, as `fit` leaves it."""
    fits_width = inner.width == outer.width and inner.x == outer.x
    fits_height = inner.height == outer.height and inner.y == outer.y
    within = outer.x <= inner.x and inner.x + inner.width <= outer.x + outer.width
    return within and (fits_width or fits_height)
