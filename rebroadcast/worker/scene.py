"""Who is in the program and what of them is drawn: people, their taps, names and chat lines.

Belongs to the program's thread. Everything is checked against the gate page while it is drawn.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from media.canvas import Canvas
from media.clock_map import SECOND_NS, ParticipantClock
from media.gates import GatePage
from media.layout import Rect, arrange
from media.mixer import Mixer
from media.tap_record import TapRecord
from media.text import render_text
from rebroadcast.worker.inputs import AudioInput, VideoInput
from rebroadcast.worker.messages import (
    ChatShown,
    CloseTap,
    MuteTap,
    OpenTap,
    Person,
    ProgramConfig,
    Speaking,
)

TILES_MOST: Final = 25
CHAT_LINES: Final = 6
_MILLISECOND_NS: Final = 1_000_000


@dataclass(slots=True)
class _Member:
    """One participant as the program sees them; without a name they are a placeholder."""

    person: str
    name: str | None
    clock: ParticipantClock = field(default_factory=ParticipantClock)
    videos: dict[int, VideoInput] = field(default_factory=dict)
    audios: dict[int, AudioInput] = field(default_factory=dict)

    def has_open_tap(self) -> bool:
        return any(v.is_open() for v in self.videos.values()) or any(
            a.is_open() for a in self.audios.values()
        )


@dataclass(frozen=True, slots=True)
class _Line:
    message: ChatShown
    until_ns: int


class Scene:
    """The people of a program. `receive` and `draw` run on one thread."""

    def __init__(self, config: ProgramConfig, page: GatePage, mixer: Mixer, *, origin_ns: int) -> None:
        """`origin_ns`: the CLOCK_MONOTONIC instant of the room that is the program's time 0."""
        self._config = config
        self._page = page
        self._mixer = mixer
        self._origin_ns = origin_ns
        self._wait_ns = max(config.delay_ms - 50, 20) * _MILLISECOND_NS
        self._members: dict[str, _Member] = {}
        self._taps: dict[int, str] = {}
        self._lines: deque[_Line] = deque(maxlen=CHAT_LINES)
        self._speakers: tuple[str, ...] = ()
        self._label_px = max(config.height // 32, 10)

    def apply(
        self, message: Person | OpenTap | CloseTap | MuteTap | ChatShown | Speaking, now_ns: int
    ) -> None:
        """Takes one piece of news about the room."""
        match message:
            case Person():
                self._person(message)
            case OpenTap():
                self._open(message)
            case CloseTap(tap):
                self._close(tap)
            case MuteTap(tap, is_muted):
                video = self._member_of(tap).videos.get(tap) if tap in self._taps else None
                if video is not None:
                    video.is_muted = is_muted
            case ChatShown():
                until_ns = now_ns + int(self._config.chat_shown_s * SECOND_NS)
                self._lines.append(_Line(message, until_ns))
            case Speaking(participants):
                self._speakers = participants

    def receive(self, record: TapRecord, now_ns: int) -> int | None:
        """Takes one tap record; returns the tap when it wants a keyframe."""
        tap = record.header.tap
        if tap not in self._taps:
            return None
        member = self._member_of(tap)
        if tap in member.videos:
            return tap if member.videos[tap].receive(record, now_ns) else None
        member.audios[tap].receive(record, now_ns, self._mixer, self._origin_ns)
        return None

    def cut(self, person: str) -> None:
        """Forgets everything of a person but that somebody is there."""
        for member in self._members.values():
            if member.person == person:
                for tap in (*member.videos, *member.audios):
                    self._close(tap)
                member.name = None
        self._lines = deque(
            (line for line in self._lines if line.message.person != person), maxlen=CHAT_LINES
        )

    def silence_closed(self) -> None:
        """Takes sound that waits to be mixed back from everyone whose gate has closed, before any message."""
        for member in self._members.values():
            for tap, audio in member.audios.items():
                if not audio.is_open():
                    self._mixer.remove(tap)

    def draw(self, canvas: Canvas, at_ns: int, now_ns: int) -> frozenset[str]:
        """Draws the room as it was at `at_ns`; returns who is seen, heard, named or quoted."""
        canvas.clear()
        present: set[str] = set()
        entries = self._entries()
        is_sharing = any(video is not None and video.tap.source == "screen" for _, video in entries)
        layout = "screen" if is_sharing and self._config.layout == "grid" else self._config.layout
        rects = arrange(layout, len(entries), canvas.width, canvas.height)
        for (member, video), rect in zip(entries, rects, strict=False):
            self._draw_member(canvas, member, video, rect, at_ns, present)
        self._draw_chat(canvas, now_ns, present)
        return frozenset(present) | self.heard(now_ns)

    def heard(self, now_ns: int) -> frozenset[str]:
        """Who may be in the sound that is mixed now."""
        members = self._members.values()
        return frozenset(m.person for m in members for audio in m.audios.values() if audio.is_heard(now_ns))

    def _entries(self) -> list[tuple[_Member, VideoInput | None]]:
        """One entry per tile: shared screens first, then people in the order they came or speak."""
        members = list(self._members.items())
        if self._config.layout in {"speaker", "single"}:
            rank = {participant: index for index, participant in enumerate(self._speakers)}
            members.sort(key=lambda item: rank.get(item[0], len(rank)))
        screens: list[tuple[_Member, VideoInput | None]] = []
        people: list[tuple[_Member, VideoInput | None]] = []
        for _, member in members:
            cameras = [v for v in member.videos.values() if v.tap.source != "screen"]
            screens += [(member, v) for v in member.videos.values() if v.tap.source == "screen"]
            people.append((member, cameras[0] if cameras else None))
        return (screens + people)[:TILES_MOST]

    def _draw_member(
        self,
        canvas: Canvas,
        member: _Member,
        video: VideoInput | None,
        rect: Rect,
        at_ns: int,
        present: set[str],
    ) -> None:
        tile = video.tile(rect, at_ns) if video is not None and video.is_open() else None
        if tile is None:
            canvas.draw_placeholder(rect)
        else:
            canvas.draw(tile)
            present.add(member.person)
        if member.name is not None and member.has_open_tap():
            label = render_text(member.name, self._label_px, rect.width)
            canvas.draw_text(label, rect.x, rect.y + rect.height - label.luma.shape[0])
            present.add(member.person)

    def _draw_chat(self, canvas: Canvas, now_ns: int, present: set[str]) -> None:
        size = self._label_px
        shown = [
            line.message
            for line in self._lines
            if now_ns < line.until_ns and self._page.is_open(line.message.slot, line.message.version)
        ]
        bottom = canvas.height - 2 * size
        for message in reversed(shown):
            picture = render_text(f"{message.name}: {message.text}", size, canvas.width * 2 // 3)
            bottom -= picture.luma.shape[0] + 2
            canvas.draw_text(picture, size, bottom)
            present.add(message.person)

    def _person(self, message: Person) -> None:
        if not message.is_present:
            member = self._members.pop(message.participant, None)
            for tap in (*member.videos, *member.audios) if member is not None else ():
                self._mixer.remove(tap)
                self._taps.pop(tap, None)
            return
        member = self._members.setdefault(message.participant, _Member(message.person, message.name))
        member.name = message.name

    def _open(self, message: OpenTap) -> None:
        member = self._members.setdefault(message.participant, _Member(message.person, None))
        self._taps[message.tap] = message.participant
        if message.kind == "video":
            member.videos[message.tap] = VideoInput(message, member.clock, self._page, wait_ns=self._wait_ns)
        else:
            member.audios[message.tap] = AudioInput(message, member.clock, self._page, wait_ns=self._wait_ns)

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
