"""How a room hears of a newcomer: a few people at a time, so that nothing else waits until all are told."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from rooms.clock import Clock, Timer
from rooms.events import RoomEvent
from rooms.member import Member

AT_ONCE: Final = 16
"""People told in one turn of the event loop: a third of a millisecond of its time."""
PAUSE_S: Final = 0.001
"""Between two such turns the loop is free for what the newcomer waits for, and for everybody else."""


class Announcement:
    """One room's news of its newest member, on the event loop's thread.

    Whatever else the room is told comes after it: who tells calls `finish` before. One newcomer at a time:
    the next one's announcement finishes the one before.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._word: Callable[[], RoomEvent | None] | None = None
        self._event: RoomEvent | None = None
        self._waiting: deque[Member] = deque()
        self._next: Timer | None = None

    def begin(self, word: Callable[[], RoomEvent | None], people: Iterable[Member]) -> None:
        """Tell these people, beginning in the loop's next turn.

        `word` says what they are told, when it begins; None: nothing.
        """
        self.finish()
        self._word = word
        self._waiting.extend(people)
        self._next = asyncio.get_running_loop().call_soon(self._go_on)

    def finish(self) -> None:
        """Tell all who have not been told. Idempotent."""
        if self._next is not None:
            self._next.cancel()
            self._tell(len(self._waiting))

    def _go_on(self) -> None:
        self._tell(AT_ONCE)
        if self._waiting:
            self._next = self._clock.call_later(PAUSE_S, self._go_on)

    def _tell(self, count: int) -> None:
        self._next = None
        if self._word is not None:
            self._event, self._word = self._word(), None
        event = self._event
        if event is None:
            self._waiting.clear()
            return
        for _ in range(min(count, len(self._waiting))):
            self._waiting.popleft().tell(event)
        if not self._waiting:
            self._event = None
