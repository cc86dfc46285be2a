"""Sends one publisher's H.264 on as it is; only the sound is encoded again, since FLV and HLS want AAC.

While there is nothing granted to send, a still placeholder of the same size and profile stands in, so that
the partner's session lives on. Each side begins with its own parameter sets and an IDR.
"""

import time
from collections import deque
from typing import Final

import structlog

from media.canvas import Canvas
from media.clock_map import SECOND_NS, ParticipantClock
from media.decode import OpusDecoder
from media.gates import GatePage
from media.h264 import H264Error, Sps, parse_sps
from media.layout import Rect
from media.mixer import SAMPLE_RATE, Mixer
from media.tap_record import TapRecord
from media.tap_stream import MediaFrame, MediaGap, TapStream
from rebroadcast.worker.encode import (
    VIDEO_CLOCK,
    AudioEncoder,
    EncodedVideo,
    EncodeError,
    VideoEncoder,
    VideoFormat,
)
from rebroadcast.worker.feed import Epoch, FeedItem, RoomNews
from rebroadcast.worker.flv import split_annex_b
from rebroadcast.worker.messages import CloseTap, MuteTap, OpenTap, Person, ProgramConfig

log = structlog.get_logger()

PLACEHOLDER_EVERY_NS: Final = SECOND_NS // 2
SILENT_NS: Final = SECOND_NS
_FRAMES_WAITING: Final = 256
_PLACEHOLDER_BPS: Final = 300_000
_PROFILES: Final = {66: "baseline", 77: "main", 100: "high"}
_SPS: Final = 7


class Passthrough:
    """A maker (see `program.Maker`) for mode `passthrough`, bound to one participant for its whole life."""

    def __init__(self, config: ProgramConfig, audio: AudioEncoder, page: GatePage, *, start_ns: int) -> None:
        self._config = config
        self._audio = audio
        self._page = page
        self._start_ns = start_ns
        self._epoch = Epoch(page, config.epoch_slot)
        self._delay_ns = config.delay_ms * 1_000_000
        self._wait_ns = max(config.delay_ms - 50, 20) * 1_000_000
        self._clock = ParticipantClock()
        self._mixer = Mixer()
        self._decoder = OpusDecoder()
        self._taps: dict[int, tuple[OpenTap, TapStream]] = {}
        self._muted: set[int] = set()
        self._frames: deque[tuple[OpenTap, MediaFrame]] = deque(maxlen=_FRAMES_WAITING)
        self._format: VideoFormat | None = None
        self._format_parameters = b""
        self._placeholder: EncodedVideo | None = None
        self._is_passing = False
        self._heard_epoch = -1
        self._last_pts = -1
        self._last_shown_ns = 0
        self._next_wish_ns = 0
        self._heard: tuple[str, int] = ("", 0)

    def apply(self, news: RoomNews, now_ns: int) -> None:
        """Takes one piece of news about the room; only the chosen participant's matters."""
        del now_ns
        match news:
            case OpenTap(participant=participant) if participant == self._config.publisher:
                if news.kind == "audio" or news.source == "camera":
                    self._taps[news.tap] = (news, TapStream(news.kind, self._clock, wait_ns=self._wait_ns))
            case CloseTap(tap):
                self._close(tap)
            case MuteTap(tap, is_muted):
                (self._muted.add if is_muted else self._muted.discard)(tap)
            case Person(participant=participant, is_present=False) if participant == self._config.publisher:
                for tap in list(self._taps):
                    self._close(tap)
            case _:
                pass  # names, chat and speakers have no place in somebody's own picture

    def cut(self, person: str) -> None:
        """Forgets everything of a person; the placeholder stands in from the next picture on."""
        for tap, (opened, _) in list(self._taps.items()):
            if opened.person == person:
                self._close(tap)
        self._audio.forget()

    def receive(self, record: TapRecord, now_ns: int) -> int | None:
        """Takes one tap record; returns the tap when it wants a keyframe."""
        found = self._taps.get(record.header.tap)
        if found is None:
            return None
        tap, stream = found
        is_open = self._page.is_open(tap.slot, tap.version) and record.header.gate_version == tap.version
        wanted = False
        for item in (*stream.receive(record), *stream.tick(now_ns)) if is_open else ():
            if isinstance(item, MediaFrame):
                self._take(tap, item, now_ns)
            elif isinstance(item, MediaGap) and tap.kind == "video":
                self._is_passing = False  # a decoder cannot go on over a hole: wait for an IDR
                wanted = True
        if tap.kind == "video" and now_ns >= self._next_wish_ns:
            self._next_wish_ns = now_ns + int(self._config.segment_s * SECOND_NS)
            wanted = True
        return tap.tap if wanted or stream.take_keyframe_wish() else None

    def make(self, index: int, due_ns: int, *, is_skipped: bool) -> list[FeedItem]:
        """Everything that is due by now."""
        del is_skipped
        epoch = self._epoch.now()
        if epoch != self._heard_epoch:
            self._audio.forget()
            self._heard_epoch = epoch
        for tap, _ in self._taps.values():
            if tap.kind == "audio" and not self._page.is_open(tap.slot, tap.version):
                self._mixer.remove(tap.tap)
        now_ns = time.monotonic_ns()
        items = self._video_due(due_ns, epoch)
        if items:
            self._last_shown_ns = due_ns
        elif due_ns - self._last_shown_ns >= (PLACEHOLDER_EVERY_NS if not self._is_passing else SILENT_NS):
            items = self._stand_in(due_ns, epoch)
            self._last_shown_ns = due_ns
        fps = self._config.fps
        samples = self._mixer.pull((index + 1) * SAMPLE_RATE // fps - index * SAMPLE_RATE // fps)
        person, heard_ns = self._heard
        persons = frozenset({person}) if person and now_ns - heard_ns < SECOND_NS else frozenset[str]()
        items += [FeedItem(frame, epoch, persons) for frame in self._audio.encode(samples)]
        if self._epoch.now() != epoch:
            self._audio.forget()
            self._is_passing = False
            return []
        return items

    def close(self) -> None:
        """Nothing is held open."""

    def _take(self, tap: OpenTap, item: MediaFrame, now_ns: int) -> None:
        if tap.kind == "audio":
            if tap.tap not in self._muted:
                origin_ns = self._start_ns - self._delay_ns
                start = (item.time_ns - origin_ns) * SAMPLE_RATE // SECOND_NS
                self._mixer.push(tap.tap, start, self._decoder.decode(item.frame))
                self._heard = (tap.person, now_ns)
        elif item.codec == "h264":
            self._frames.append((tap, item))

    def _video_due(self, due_ns: int, epoch: int) -> list[FeedItem]:
        items: list[FeedItem] = []
        while self._frames and self._frames[0][1].time_ns <= due_ns - self._delay_ns:
            tap, item = self._frames.popleft()
            if not self._page.is_open(tap.slot, tap.version) or tap.tap in self._muted:
                self._is_passing = False
                continue
            if item.frame.is_keyframe:
                self._is_passing = self._adopt(item)
            if self._is_passing and self._format is not None:
                pts = (item.time_ns + self._delay_ns - self._start_ns) * VIDEO_CLOCK // SECOND_NS
                frame = self._timed(item.frame.data, pts, is_keyframe=item.frame.is_keyframe, of=self._format)
                items.append(FeedItem(frame, epoch, frozenset({tap.person})))
        return items

    def _adopt(self, item: MediaFrame) -> bool:
        """Takes a keyframe's parameters; whether the publisher's picture can be passed on from it."""
        parameters = item.frame.parameters
        if parameters and parameters != self._format_parameters:
            try:
                self._format = VideoFormat.of_keyframe(parameters, item.frame.data)
            except EncodeError as error:
                log.warning("keyframe_refused", reason=str(error))
                return False
            self._format_parameters = parameters
            self._placeholder = None
        return self._format is not None

    def _stand_in(self, due_ns: int, epoch: int) -> list[FeedItem]:
        self._is_passing = False
        if self._placeholder is None:
            self._placeholder = _placeholder(self._config, self._format_parameters)
        pts = (due_ns - self._start_ns) * VIDEO_CLOCK // SECOND_NS
        frame = self._timed(self._placeholder.data, pts, is_keyframe=True, of=self._placeholder.format)
        return [FeedItem(frame, epoch, frozenset())]

    def _timed(self, data: bytes, pts: int, *, is_keyframe: bool, of: VideoFormat) -> EncodedVideo:
        """A frame whose time is later than that of every frame before it."""
        self._last_pts = max(pts, self._last_pts + 1)
        return EncodedVideo(data, self._last_pts, VIDEO_CLOCK // self._config.fps, is_keyframe, of)

    def _close(self, tap: int) -> None:
        found = self._taps.pop(tap, None)
        if found is None:
            return
        found[1].discard()
        self._mixer.remove(tap)
        self._muted.discard(tap)
        kept = [entry for entry in self._frames if entry[0].tap != tap]
        self._frames = deque(kept, maxlen=_FRAMES_WAITING)
        if found[0].kind == "video":
            self._is_passing = False
        else:
            self._decoder = OpusDecoder()
            self._heard = ("", 0)


def _placeholder(config: ProgramConfig, parameters: bytes) -> EncodedVideo:
    """One IDR of the anonymous figure, of the publisher's size and profile when they are known."""
    sps = _sps(parameters)
    width, height = (
        (sps.width // 2 * 2, sps.height // 2 * 2) if sps is not None else (config.width, config.height)
    )
    profile = _PROFILES.get(sps.profile_idc, "main") if sps is not None else "main"
    encoder = VideoEncoder(width=width, height=height, fps=config.fps, bps=_PLACEHOLDER_BPS, profile=profile)
    canvas = Canvas(width, height)
    canvas.draw_placeholder(Rect(0, 0, width, height))
    return next(encoder.encode(canvas.to_frame(), 0, is_keyframe=True))


def _sps(parameters: bytes) -> Sps | None:
    for unit in split_annex_b(parameters):
        if unit[0] & 0x1F == _SPS:
            try:
                return parse_sps(unit)
            except H264Error:
                return None
    return None
