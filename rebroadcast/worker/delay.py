"""Holds a program back: what comes of each person waits before it is composed, so that it can be taken back.

A maker in front of another one (see `program.Maker`), which lives `delay_ns` in the past. Who is there, whose
consent ends and who is cut is told to it at once; media, mutes, chat and speakers when they are due.
Belongs to the program's thread.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from media.tap_record import RtpRecord, TapRecord
from rebroadcast.worker.feed import FeedItem, RoomNews
from rebroadcast.worker.messages import (
    ChatDeleted,
    ChatShown,
    CloseTap,
    Dump,
    MuteTap,
    OpenTap,
    Person,
    Speaking,
)
from rebroadcast.worker.pacing import Work
from rebroadcast.worker.program import Maker

log = structlog.get_logger()

HELD_MOST_BYTES: Final = 256 << 20
"""Of all people together; beyond it the oldest goes."""
_RECORD_BYTES: Final = 256
"""What a record costs besides its packet."""
_FILLING: Final = "the delay is being filled"
_DUMPED: Final = "the delay was dumped, and is being filled again"

Held = TapRecord | MuteTap | ChatShown | Speaking


class Delayed:
    """A maker whose program is `delay_ns` behind the room."""

    def __init__(self, maker: Maker, *, delay_ns: int, start_ns: int) -> None:
        """`start_ns`: when the program began; `maker` was made with a start that is `delay_ns` earlier."""
        self._maker = maker
        self._delay_ns = delay_ns
        self._held: deque[tuple[int, Held]] = deque()
        self._held_bytes = 0
        self._taps: dict[int, OpenTap] = {}
        self._people: dict[str, Person] = {}
        self._wishes: deque[int] = deque()
        self._filled_ns = start_ns + delay_ns
        self._why = _FILLING
        self._now_ns = start_ns

    @property
    def slate(self) -> str | None:
        """Why a placeholder stands in for the whole picture; None while there is one."""
        return self._why if self._now_ns < self._filled_ns else self._maker.slate

    @property
    def work(self) -> Work:
        """What the maker's other threads have done."""
        return self._maker.work

    def apply(self, news: RoomNews, now_ns: int) -> None:
        """Takes one piece of news about the room."""
        match news:
            case Dump():
                self._dump(now_ns)
            case MuteTap() | ChatShown() | Speaking():
                self._hold(news, now_ns)
            case ChatDeleted(line_id):
                self._keep(lambda item: not (isinstance(item, ChatShown) and item.id == line_id))
                self._maker.apply(news, now_ns - self._delay_ns)
            case OpenTap():
                self._taps[news.tap] = news
                self._wishes.append(news.tap)  # what is held begins with a keyframe
                self._maker.apply(news, now_ns - self._delay_ns)
            case CloseTap(tap):
                self._taps.pop(tap, None)
                self._drop({tap})
                self._maker.apply(news, now_ns - self._delay_ns)
            case _:
                if isinstance(news, Person):
                    self._people[news.participant] = news
                    if not news.is_present:
                        del self._people[news.participant]
                self._maker.apply(news, now_ns - self._delay_ns)

    def cut(self, person: str) -> None:
        """Forgets everything of a person: what was made, and what waits."""
        taps = {tap for tap, opened in self._taps.items() if opened.person == person}
        for tap in taps:
            del self._taps[tap]
        self._drop(taps, person)
        self._maker.cut(person)

    def receive(self, record: TapRecord, now_ns: int) -> int | None:
        """Holds one tap record; returns a tap that wants a keyframe."""
        if record.header.tap in self._taps:
            self._hold(record, now_ns)
        return self._wishes.popleft() if self._wishes else None

    def has_room(self) -> bool:
        """Whether another picture can be taken by what encodes it."""
        return self._maker.has_room()

    def make(self, index: int, due_ns: int, *, is_skipped: bool) -> list[FeedItem]:
        """What belongs to the picture time `index`, of the room as it was `delay_ns` ago."""
        self._now_ns = due_ns
        while self._held and self._held[0][0] <= due_ns - self._delay_ns:
            came_ns, item = self._held.popleft()
            self._held_bytes -= _size(item)
            if isinstance(item, (MuteTap, ChatShown, Speaking)):
                self._maker.apply(item, came_ns)
            elif (wanted := self._maker.receive(item, came_ns)) is not None and wanted not in self._wishes:
                self._wishes.append(wanted)
        return self._maker.make(index, due_ns - self._delay_ns, is_skipped=is_skipped)

    def close(self) -> None:
        """Frees what it holds."""
        self._held.clear()
        self._maker.close()

    def _dump(self, now_ns: int) -> None:
        """Throws away everything that has not gone out; who is there stays."""
        self._held.clear()
        self._held_bytes = 0
        self._filled_ns, self._why = now_ns + self._delay_ns, _DUMPED
        for person in {person.person for person in self._people.values()}:
            self._maker.cut(person)
        known: list[RoomNews] = [*self._people.values(), *self._taps.values()]
        for news in known:
            self._maker.apply(news, now_ns - self._delay_ns)
        self._wishes.extend(tap for tap, opened in self._taps.items() if opened.kind == "video")
        log.info("delay_dumped", duration_ms=self._delay_ns // 1_000_000)

    def _hold(self, item: Held, now_ns: int) -> None:
        self._held.append((now_ns, item))
        self._held_bytes += _size(item)
        while self._held_bytes > HELD_MOST_BYTES:
            _, dropped = self._held.popleft()
            self._held_bytes -= _size(dropped)

    def _drop(self, taps: set[int], person: str = "") -> None:
        self._keep(lambda item: not _is_of(item, taps, person))

    def _keep(self, is_kept: Callable[[Held], bool]) -> None:
        self._held = deque((came_ns, item) for came_ns, item in self._held if is_kept(item))
        self._held_bytes = sum(_size(item) for _, item in self._held)


def _is_of(item: Held, taps: set[int], person: str) -> bool:
    match item:
        case ChatShown():
            return item.person == person
        case MuteTap(tap):
            return tap in taps
        case Speaking():
            return False
        case _:
            return item.header.tap in taps


def _size(item: Held) -> int:
    return _RECORD_BYTES + (len(item.packet) if isinstance(item, RtpRecord) else 0)
