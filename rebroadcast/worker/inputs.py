"""What a program knows of one tap: its frames decoded, behind its gate. Belongs to the program's thread."""

from typing import Final

import av

from media.clock_map import SECOND_NS, ParticipantClock
from media.decode import OpusDecoder
from media.gates import GatePage
from media.mixer import SAMPLE_RATE, Mixer
from media.tap_record import TapRecord
from media.tap_stream import MediaFrame, MediaGap, TapStream
from rebroadcast.worker.decoding import DecodedTrack, Picture
from rebroadcast.worker.feed import SOUND_LINGERS_NS
from rebroadcast.worker.messages import OpenTap

STALE_NS: Final = 3 * SECOND_NS
"""A picture that has not changed for so long is no longer shown: the camera is gone."""


class VideoInput:
    """Pictures of one video tap, shown at their time."""

    def __init__(
        self,
        tap: OpenTap,
        clock: ParticipantClock,
        page: GatePage,
        track: DecodedTrack,
        *,
        wait_ns: int,
    ) -> None:
        self.tap = tap
        self._page = page
        self._stream = TapStream("video", clock, wait_ns=wait_ns)
        self._track = track
        self._shown: Picture | None = None
        self.is_muted = False

    def is_open(self) -> bool:
        """Whether the person's consent holds at this moment."""
        return self._page.is_open(self.tap.slot, self.tap.version)

    def receive(self, record: TapRecord, now_ns: int) -> bool:
        """Takes one record; returns whether a keyframe is wanted."""
        if self.is_open() and record.header.gate_version == self.tap.version:
            for item in (*self._stream.receive(record), *self._stream.tick(now_ns)):
                if isinstance(item, MediaGap):
                    self._track.gap()
                elif isinstance(item, MediaFrame):
                    self._track.push(item)
        return self._track.take_keyframe_wish() | self._stream.take_keyframe_wish()

    def picture(self, at_ns: int) -> av.VideoFrame | None:
        """The picture for that time; None when there is none to show."""
        self._shown = self._track.take(at_ns) or self._shown
        if self._shown is None or self.is_muted or at_ns - self._shown[0] > STALE_NS:
            return None
        return self._shown[1]

    def discard(self) -> None:
        """Forgets every picture and every byte."""
        self._stream.discard()
        self._track.discard()
        self._shown = None


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
