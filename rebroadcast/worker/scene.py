"""Who is in the program and what of them is shown: people, their taps, names and chat lines.

Belongs to the program's thread. Everything is checked against the gate page while it is drawn.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from media.canvas import Canvas
from media.clock_map import SECOND_NS, ParticipantClock
from media.gates import GatePage
from media.layout import GRID_MOST
from media.logo import parse_logo
from media.mixer import Mixer
from media.painter import CHAT_LINES, Painter, Seat
from media.painter import Look as PaintedLook
from media.png import PngError
from media.spotlight import Spotlight
from media.tap_record import TapRecord
from rebroadcast.worker.decoding import DecodeThreads
from rebroadcast.worker.feed import EncodingsWanted, RoomNews
from rebroadcast.worker.handover import OpenPart
from rebroadcast.worker.inputs import AudioInput, VideoInput
from rebroadcast.worker.messages import (
    ChatDeleted,
    ChatShown,
    CloseTap,
    Dump,
    Look,
    MuteTap,
    OpenTap,
    Person,
    ProgramConfig,
    Speaking,
)
from rebroadcast.worker.playback import PartAudio, PartVideo

log = structlog.get_logger()

_MILLISECOND_NS: Final = 1_000_000
_AUDIBLE: Final = 0.01


@dataclass(slots=True)
class _Member:
    """One participant as the program sees them; without a name they are a placeholder."""

    person: str
    name: str | None
    is_main: bool = False
    gain: float = 1.0
    from_ns: int = 0
    until_ns: int = 0
    clock: ParticipantClock = field(default_factory=ParticipantClock)
    videos: dict[int, VideoInput | PartVideo] = field(default_factory=dict)
    audios: dict[int, AudioInput | PartAudio] = field(default_factory=dict)

    def is_there(self, at_ns: int) -> bool:
        return self.from_ns <= at_ns and (not self.until_ns or at_ns < self.until_ns)

    def has_open_tap(self) -> bool:
        return any(v.is_open() for v in self.videos.values()) or any(
            a.is_open() for a in self.audios.values()
        )


@dataclass(frozen=True, slots=True)
class _Line:
    message: ChatShown
    until_ns: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Who sits where: a member with the camera or screen that is shown of them; nobody is a placeholder."""

    member: _Member | None
    video: VideoInput | PartVideo | None = None


class Scene:
    """The people of a program. `receive` and `draw` run on one thread."""

    def __init__(
        self,
        config: ProgramConfig,
        page: GatePage,
        mixer: Mixer,
        canvas: Canvas,
        decoders: DecodeThreads,
        *,
        origin_ns: int,
    ) -> None:
        """`origin_ns`: the CLOCK_MONOTONIC instant of the room that is the program's time 0."""
        self._config = config
        self._page = page
        self._mixer = mixer
        self._decoders = decoders
        self.canvas = canvas
        self._painter = Painter(canvas)
        self._origin_ns = origin_ns
        self._wait_ns = max(config.delay_ms - 50, 20) * _MILLISECOND_NS
        self._members: dict[str, _Member] = {}
        self._taps: dict[int, str] = {}
        self._lines: deque[_Line] = deque(maxlen=CHAT_LINES)
        self._spotlight = Spotlight()
        self._is_bound = False
        self._look = PaintedLook()
        self._worn = config.look
        self._dress(config.look)

    def apply(self, message: RoomNews, now_ns: int) -> None:
        """Takes one piece of news about the room, or a new look."""
        match message:
            case Person():
                self._person(message)
            case OpenTap():
                self._open(message)
            case OpenPart():
                self._add_part(message)
            case CloseTap(tap):
                self._close(tap)
            case MuteTap(tap, is_muted):
                video = self._member_of(tap).videos.get(tap) if tap in self._taps else None
                if video is not None:
                    video.is_muted = is_muted
            case ChatShown():
                until_ns = now_ns + int(self._config.chat_shown_s * SECOND_NS)
                self._lines.append(_Line(message, until_ns))
            case ChatDeleted(line_id):
                kept = (line for line in self._lines if line.message.id != line_id)
                self._lines = deque(kept, maxlen=CHAT_LINES)
            case Speaking(participants):
                self._spotlight.hear(participants, now_ns)
            case Dump() | EncodingsWanted():
                pass  # only what is held back can be dumped; how it is encoded changes nobody's place
            case Look():
                self._dress(message)

    def receive(self, record: TapRecord, now_ns: int) -> int | None:
        """Takes one tap record; returns the tap when it wants a keyframe."""
        tap = record.header.tap
        if tap not in self._taps:
            return None
        member = self._member_of(tap)
        video, audio = member.videos.get(tap), member.audios.get(tap)
        if isinstance(video, VideoInput):
            return tap if video.receive(record, now_ns) else None
        if isinstance(audio, AudioInput):
            audio.receive(record, now_ns, self._mixer, self._origin_ns)
        return None

    def play(self, until: int, now_ns: int) -> None:
        """Lays the sound of recorded parts in the mix up to a sample, and hears who is loud in them."""
        played = [
            (name, audio)
            for name, member in self._members.items()
            for audio in member.audios.values()
            if isinstance(audio, PartAudio)
        ]
        for _, audio in played:
            audio.play(until, self._mixer, self._origin_ns, now_ns)
        loud = sorted(((audio.level, name) for name, audio in played if audio.level > _AUDIBLE), reverse=True)
        if played:
            self._spotlight.hear([name for _, name in loud], now_ns)

    def resize(self, canvas: Canvas) -> None:
        """Goes on on a canvas of another size."""
        self.canvas = canvas
        self._painter = Painter(canvas)
        self._dress(self._worn)

    def cut(self, person: str) -> None:
        """Forgets everything of a person but that somebody is there."""
        for member in self._members.values():
            if member.person == person:
                for tap in (*member.videos, *member.audios):
                    self._close(tap)
                member.name = None
        self._painter.forget()
        self._lines = deque(
            (line for line in self._lines if line.message.person != person), maxlen=CHAT_LINES
        )

    def silence_closed(self) -> None:
        """Takes sound that waits to be mixed back from everyone whose gate has closed, before any message."""
        for member in self._members.values():
            for tap, audio in member.audios.items():
                if not audio.is_open():
                    self._mixer.remove(tap)

    def draw(self, at_ns: int, now_ns: int) -> frozenset[str]:
        """Draws the room as it was at `at_ns`; returns who is seen, heard, named or quoted."""
        places = self._places(at_ns, now_ns)
        seats = [self._seat(place, at_ns) for place in places]
        lines = self._spoken(now_ns) if self._look.has_chat else []
        shown = self._painter.paint(seats, [f"{line.name}: {line.text}" for line in lines], self._look)
        present = {line.person for line in lines}
        for place, seat in zip(places[:shown], seats, strict=False):
            if place.member is not None and (seat.frame is not None or seat.name is not None):
                present.add(place.member.person)
        return frozenset(present) | self.heard(now_ns)

    def heard(self, now_ns: int) -> frozenset[str]:
        """Who may be in the sound that is mixed now."""
        members = self._members.values()
        return frozenset(m.person for m in members for audio in m.audios.values() if audio.is_heard(now_ns))

    def _places(self, at_ns: int, now_ns: int) -> list[_Place]:
        """One place for each picture: shared screens first, then people in the order they came."""
        present = {name: member for name, member in self._members.items() if member.is_there(at_ns)}
        members = list(present.values())
        cameras = [_Place(member, _newest(member, is_screen=False)) for member in members]
        main = self._main(present, now_ns)
        if self._look.layout == "single":
            if main is None:
                return [_Place(None)] if members else []
            video = _newest(main, is_screen=False) or _newest(main, is_screen=True)
            return [_Place(main, video)]
        screens = [_Place(m, v) for m in members if (v := _newest(m, is_screen=True)) is not None]
        first = next((place for place in cameras if place.member is main), None)
        if first is not None:
            if self._look.layout in {"speaker", "screen"}:
                cameras = [first, *(place for place in cameras if place is not first)]
            elif cameras.index(first) >= GRID_MOST:
                cameras[GRID_MOST - 1] = first
        elif self._look.layout in {"speaker", "screen"} and members:
            cameras = [_Place(None), *cameras]
        return screens[-1:] + cameras

    def _main(self, present: Mapping[str, _Member], now_ns: int) -> _Member | None:
        """Whose the large place is; None when it is kept for somebody who is not there."""
        if self._is_bound:
            return next((member for member in present.values() if member.is_main), None)
        main = self._spotlight.main(list(present), now_ns)
        return None if main is None else present[main]

    def _seat(self, place: _Place, at_ns: int) -> Seat:
        member, video = place.member, place.video
        frame = video.picture(at_ns) if video is not None and video.is_open() else None
        is_named = member is not None and member.has_open_tap()
        return Seat(
            None if video is None else video.tap.tap,
            frame,
            member.name if member is not None and is_named else None,
            is_screen=video is not None and video.tap.source == "screen",
        )

    def _spoken(self, now_ns: int) -> list[ChatShown]:
        return [
            line.message
            for line in self._lines
            if now_ns < line.until_ns and self._page.is_open(line.message.slot, line.message.version)
        ]

    def _dress(self, look: Look) -> None:
        self._worn, logo = look, None
        if look.logo:
            try:
                logo = parse_logo(look.logo, self.canvas.height)
            except PngError as error:  # the server has judged it: only a damaged channel could get here
                log.warning("logo_refused", reason=str(error))
        self._is_bound = look.is_bound
        self._look = PaintedLook(
            layout=look.layout,
            has_names=look.has_names,
            has_chat=look.has_chat,
            logo=logo,
            corner=look.corner,
        )

    def _person(self, message: Person) -> None:
        if not message.is_present:
            gone = self._members.get(message.participant)
            for tap in (*gone.videos, *gone.audios) if gone is not None else ():
                self._close(tap)
            self._members.pop(message.participant, None)
            return
        member = self._members.setdefault(message.participant, _Member(message.person, message.name))
        member.name, member.is_main, member.gain = message.name, message.is_main, message.gain
        member.from_ns, member.until_ns = message.from_ns, message.until_ns
        member.person = message.person or member.person
        for tap in member.audios:
            self._mixer.set_gain(tap, member.gain)

    def _open(self, message: OpenTap) -> None:
        member = self._members.setdefault(message.participant, _Member(message.person, None))
        self._taps[message.tap] = message.participant
        if message.kind == "video":
            member.videos[message.tap] = VideoInput(
                message, member.clock, self._page, self._decoders.track(), wait_ns=self._wait_ns
            )
        else:
            self._mixer.set_gain(message.tap, member.gain)
            member.audios[message.tap] = AudioInput(message, member.clock, self._page, wait_ns=self._wait_ns)

    def _add_part(self, part: OpenPart) -> None:
        given = part.given
        if not self._page.is_open(given.slot, given.version):
            part.file.close()  # taken back while it was on its way
            return
        member = self._members.setdefault(
            given.participant,
            _Member(given.person, None, from_ns=given.from_ns, until_ns=given.until_ns),
        )
        self._taps[given.tap] = given.participant
        if given.kind == "video":
            video = member.videos.setdefault(given.tap, PartVideo(given, self._page))
            if isinstance(video, PartVideo):
                video.add(part)
        else:
            self._mixer.set_gain(given.tap, member.gain)
            audio = member.audios.setdefault(given.tap, PartAudio(given, self._page))
            if isinstance(audio, PartAudio):
                audio.add(part)

    def _close(self, tap: int) -> None:
        if tap not in self._taps:
            return
        member = self._member_of(tap)
        closed = member.videos.pop(tap, None) or member.audios.pop(tap, None)
        if closed is not None:
            closed.discard()
        self._mixer.remove(tap)
        del self._taps[tap]

    def _member_of(self, tap: int) -> _Member:
        return self._members[self._taps[tap]]


def _newest(member: _Member, *, is_screen: bool) -> VideoInput | PartVideo | None:
    """The screen that was shared last, or the first camera."""
    found = [video for video in member.videos.values() if (video.tap.source == "screen") is is_screen]
    return (found[-1] if is_screen else found[0]) if found else None
