"""Sends one publisher's H.264 on as it is; only the sound is encoded again, since FLV and HLS want AAC.

While there is nothing granted to send, a still placeholder of the same size and profile stands in, so that
the partner's session lives on. Each side begins with its own parameter sets and an IDR.
"""

from collections import deque
from typing import Final, NamedTuple

import structlog

from media.canvas import Canvas
from media.clock_map import SECOND_NS, ParticipantClock
from media.decode import PICTURE_MAX_PIXELS, OpusDecoder
from media.gates import GatePage
from media.h264 import (
    NAL_AUD,
    NAL_PPS,
    NAL_SPS,
    START_CODE,
    H264Error,
    Sps,
    parse_sps,
    split_annex_b,
)
from media.layout import Rect
from media.mixer import SAMPLE_RATE, Mixer
from media.tap_record import RtpRecord, TapRecord
from media.tap_stream import MediaFrame, MediaGap, TapStream
from rebroadcast.worker.encode import (
    VIDEO_CLOCK,
    AudioEncoder,
    EncodedVideo,
    EncodeError,
    VideoEncoder,
    VideoFormat,
)
from rebroadcast.worker.feed import SOUND_LINGERS_NS, Epoch, FeedItem, RoomNews
from rebroadcast.worker.flv import FlvError, avc_configuration
from rebroadcast.worker.messages import CloseTap, MuteTap, OpenTap, Person, ProgramConfig
from rebroadcast.worker.pacing import Work

log = structlog.get_logger()

PLACEHOLDER_EVERY_NS: Final = SECOND_NS // 2
FROZEN_MOST_NS: Final = SECOND_NS
"""How long the last picture of somebody with a grant may stand before the placeholder takes its place."""
_WISH_AGAIN_NS: Final = SECOND_NS // 2
_FRAMES_WAITING: Final = 256
_PLACEHOLDER_BPS: Final = 300_000
_PROFILES: Final = {66: "baseline", 77: "main", 100: "high"}
_STORED_APART: Final = frozenset({NAL_SPS, NAL_PPS, NAL_AUD})
"""Units that FLV and MP4 keep outside the access units."""


class _Due(NamedTuple):
    """What comes next of the camera: a frame, or None where something is missing."""

    tap: OpenTap
    item: MediaFrame | None


class Passthrough:
    """A maker (see `program.Maker`) for mode `passthrough`: whatever its taps carry is one publisher's."""

    def __init__(self, config: ProgramConfig, audio: AudioEncoder, page: GatePage, *, start_ns: int) -> None:
        self._config = config
        self._audio = audio
        self._page = page
        self._start_ns = start_ns
        self._epoch = Epoch(page, config.epoch_slot)
        self._delay_ns = config.delay_ms * 1_000_000
        self._wait_ns = max(config.delay_ms - 50, 20) * 1_000_000
        self._segment_ns = int(config.segment_s * SECOND_NS)
        self._clocks: dict[str, ParticipantClock] = {}
        self._mixer = Mixer()
        self._decoder = OpusDecoder()
        self._taps: dict[int, tuple[OpenTap, TapStream]] = {}
        self._muted: set[int] = set()
        self._waiting: deque[_Due] = deque()
        self._format: VideoFormat | None = None
        self._refused = b""
        self._refusal = ""
        self._foreign_codec = ""
        self._placeholder: EncodedVideo | None = None
        self._is_passing = False
        self._is_slate = False
        self._heard_epoch = -1
        self._last_pts = -1
        self._last_shown_ns = start_ns
        self._next_wish_ns = 0
        self._camera_came_ns = 0
        self._heard: tuple[str, int] = ("", 0)
        self.slate: str | None = None
        """Why the placeholder stands in; None while there is a picture."""

    @property
    def work(self) -> Work:
        """Nothing is done beside its thread."""
        return Work()

    def apply(self, news: RoomNews, now_ns: int) -> None:
        """Takes one piece of news about the room."""
        del now_ns
        match news:
            case OpenTap():
                if news.kind == "audio" or news.source == "camera":
                    clock = self._clocks.setdefault(news.participant, ParticipantClock())
                    self._taps[news.tap] = (news, TapStream(news.kind, clock, wait_ns=self._wait_ns))
            case CloseTap(tap):
                self._close(tap)
            case MuteTap(tap, is_muted):
                (self._muted.add if is_muted else self._muted.discard)(tap)
                if is_muted and tap == self._camera():
                    self._hide()
            case Person(participant=participant, is_present=False):
                self._clocks.pop(participant, None)
                for tap in [t for t, (opened, _) in self._taps.items() if opened.participant == participant]:
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
        is_video = tap.kind == "video"
        if is_video and tap.tap != self._camera():
            return None
        if is_video and isinstance(record, RtpRecord):
            self._camera_came_ns = now_ns
        is_open = self._page.is_open(tap.slot, tap.version) and record.header.gate_version == tap.version
        wanted = False
        for item in (*stream.receive(record), *stream.tick(now_ns)) if is_open else ():
            if isinstance(item, MediaFrame):
                self._take(tap, item, now_ns)
            elif isinstance(item, MediaGap) and is_video:
                self._wait(tap, None)  # a decoder cannot go on over a hole: wait for an IDR
                wanted = True
                self._next_wish_ns = min(self._next_wish_ns, now_ns + _WISH_AGAIN_NS)
        if is_video and now_ns >= self._next_wish_ns:
            wanted = True
            self._next_wish_ns = self._wish_after(now_ns)
        return tap.tap if stream.take_keyframe_wish() or wanted else None

    def has_room(self) -> bool:
        """Nothing is encoded that could take too long."""
        return True

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
        items = self._video_due(due_ns, epoch)
        if items:
            self._is_slate = False
            self._last_shown_ns = due_ns
        elif due_ns - self._last_shown_ns >= (PLACEHOLDER_EVERY_NS if self._is_slate else FROZEN_MOST_NS):
            items = self._stand_in(due_ns, epoch)
        self.slate = self._why_slate(due_ns) if self._is_slate else None
        fps = self._config.fps
        samples = self._mixer.pull((index + 1) * SAMPLE_RATE // fps - index * SAMPLE_RATE // fps)
        person, heard_ns = self._heard
        persons = frozenset({person}) if person and due_ns - heard_ns < SOUND_LINGERS_NS else frozenset[str]()
        items += [FeedItem(frame, epoch, persons) for frame in self._audio.encode(samples)]
        if self._epoch.now() != epoch:
            self._audio.forget()
            self._is_passing = False
            return []
        return items

    def close(self) -> None:
        """Nothing is held open."""

    def _why_slate(self, now_ns: int) -> str:
        camera = self._camera()
        if camera is None:
            return "the publisher is not there, has not agreed, or shows no camera"
        if camera in self._muted:
            return "the publisher's camera is off"
        if self._foreign_codec:
            return f"the publisher sends {self._foreign_codec.upper()}, and passthrough needs H.264"
        if now_ns - self._camera_came_ns > FROZEN_MOST_NS:
            return "nothing comes of the publisher's camera"
        return self._refusal or "no keyframe of the publisher has come yet"

    def _camera(self) -> int | None:
        """The one tap whose picture goes out: a publisher's oldest camera."""
        return next((tap for tap, (opened, _) in self._taps.items() if opened.kind == "video"), None)

    def _wish_after(self, now_ns: int) -> int:
        """When to ask for a keyframe next: on the segment clock, sooner while none has come."""
        if not self._is_passing:
            return now_ns + _WISH_AGAIN_NS
        return now_ns + self._segment_ns - (now_ns - self._start_ns) % self._segment_ns

    def _take(self, tap: OpenTap, item: MediaFrame, now_ns: int) -> None:
        if tap.kind == "audio":
            if tap.tap not in self._muted:
                origin_ns = self._start_ns - self._delay_ns
                start = (item.time_ns - origin_ns) * SAMPLE_RATE // SECOND_NS
                self._mixer.push(tap.tap, start, self._decoder.decode(item.frame))
                self._heard = (tap.person, now_ns)
            return
        self._foreign_codec = item.codec if item.codec != "h264" else ""
        if item.codec == "h264":
            self._wait(tap, item)

    def _wait(self, tap: OpenTap, item: MediaFrame | None) -> None:
        if len(self._waiting) >= _FRAMES_WAITING:  # times far ahead of their arrival: what waits is of no use
            self._waiting.clear()
            self._waiting.append(_Due(tap, None))
        self._waiting.append(_Due(tap, item))

    def _video_due(self, due_ns: int, epoch: int) -> list[FeedItem]:
        items: list[FeedItem] = []
        while self._waiting:
            tap, item = self._waiting[0]
            if item is not None and item.time_ns > due_ns - self._delay_ns:
                break
            self._waiting.popleft()
            if item is None:
                self._is_passing = False
            elif not self._page.is_open(tap.slot, tap.version) or tap.tap in self._muted:
                self._hide()
            elif (frame := self._passed(item)) is not None:
                items.append(FeedItem(frame, epoch, frozenset({tap.person})))
        return items

    def _passed(self, item: MediaFrame) -> EncodedVideo | None:
        """The publisher's frame for the outputs; None until a keyframe with usable parameters has come."""
        if not self._is_passing and not item.frame.is_keyframe:
            return None
        units = [unit for unit in split_annex_b(item.frame.data) if unit[0] & 0x1F not in _STORED_APART]
        data = b"".join(START_CODE + unit for unit in units)
        if item.frame.is_keyframe:
            self._is_passing = self._adopt(item.frame.parameters, data)
        if not self._is_passing or self._format is None or not data:
            return None
        pts = (item.time_ns + self._delay_ns - self._start_ns) * VIDEO_CLOCK // SECOND_NS
        return self._timed(data, pts, is_keyframe=item.frame.is_keyframe, of=self._format)

    def _adopt(self, parameters: bytes, keyframe: bytes) -> bool:
        """Takes a keyframe's parameters; whether the publisher's picture can be passed on from it."""
        if parameters and parameters == self._refused:
            return False
        if parameters and (self._format is None or parameters != self._format.parameters):
            try:
                sps = _usable(parameters)
                self._format = VideoFormat.of_keyframe(parameters, keyframe)
            except (EncodeError, H264Error, FlvError) as error:
                self._refused, self._refusal = parameters, f"the publisher's H.264 cannot go out: {error}"
                log.warning("keyframe_refused", reason=str(error))
                return False
            self._placeholder = _placeholder(self._config, sps)
        self._refused, self._refusal = b"", ""
        return self._format is not None

    def _stand_in(self, due_ns: int, epoch: int) -> list[FeedItem]:
        self._hide()
        self._last_shown_ns = due_ns
        if self._placeholder is None:
            self._placeholder = _placeholder(self._config, None)
        pts = (due_ns - self._start_ns) * VIDEO_CLOCK // SECOND_NS
        frame = self._timed(self._placeholder.data, pts, is_keyframe=True, of=self._placeholder.format)
        return [FeedItem(frame, epoch, frozenset())]

    def _hide(self) -> None:
        """The picture may not stay where it is: the placeholder comes with the next one that is due."""
        self._is_passing = False
        if not self._is_slate:
            self._is_slate = True
            self._last_shown_ns -= PLACEHOLDER_EVERY_NS
            self._next_wish_ns = 0

    def _timed(self, data: bytes, pts: int, *, is_keyframe: bool, of: VideoFormat) -> EncodedVideo:
        """A frame whose time is later than that of every frame before it."""
        self._last_pts = max(pts, self._last_pts + 1)
        return EncodedVideo(data, self._last_pts, VIDEO_CLOCK // self._config.fps, is_keyframe, of)

    def _close(self, tap: int) -> None:
        is_camera = tap == self._camera()
        found = self._taps.pop(tap, None)
        if found is None:
            return
        found[1].discard()
        self._mixer.remove(tap)
        self._muted.discard(tap)
        self._waiting = deque(due for due in self._waiting if due.tap.tap != tap)
        if is_camera:
            self._foreign_codec = ""
            self._hide()
        elif found[0].kind == "audio":
            self._decoder = OpusDecoder()
            self._heard = ("", 0)


def _usable(parameters: bytes) -> Sps:
    """The sequence parameter set, when every output can carry what it describes.

    Raises:
        H264Error, FlvError, EncodeError: it cannot.
    """
    avc_configuration(parameters)
    sps = parse_sps(next(unit for unit in split_annex_b(parameters) if unit[0] & 0x1F == NAL_SPS))
    if sps.width * sps.height > PICTURE_MAX_PIXELS:
        raise EncodeError(f"a picture of {sps.width} x {sps.height} is too large")
    return sps


def _placeholder(config: ProgramConfig, sps: Sps | None) -> EncodedVideo:
    """One IDR of the anonymous figure, of the publisher's size and profile when they are known."""
    width, height, profile = config.width, config.height, "main"
    if sps is not None:
        width, height = max(sps.width // 2 * 2, 2), max(sps.height // 2 * 2, 2)
        profile = _PROFILES.get(sps.profile_idc, "main")
    encoder = VideoEncoder(width=width, height=height, fps=config.fps, bps=_PLACEHOLDER_BPS, profile=profile)
    canvas = Canvas(width, height)
    canvas.draw_placeholder(Rect(0, 0, width, height))
    return next(encoder.encode(canvas.to_frame(), 0, is_keyframe=True))
