"""A bounded queue of events for one consumer."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

E = TypeVar("E")


class Mailbox(Generic[E]):
    """Events in order, for one consumer on the event loop's thread.

    Overflow rule: an event of a `replaceable` type takes the place of its waiting twin, so those never pile
    up; one more event than `limit` closes the mailbox for good, with `overflow_event` as its last, and
    calls `on_overflow` once: the owner ends the consumer.
    """

    def __init__(
        self,
        limit: int,
        *,
        replaceable: tuple[type, ...] = (),
        overflow_event: E | None = None,
        on_overflow: Callable[[], None] | None = None,
    ) -> None:
        self._limit = limit
        self._replaceable = replaceable
        self._overflow_event = overflow_event
        self._on_overflow = on_overflow
        self._waiting: deque[list[E]] = deque()
        self._twins: dict[type, list[E]] = {}
        self._wake = asyncio.Event()
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing is taken any more; what waits can still be read."""
        return self._is_closed

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: E) -> None:
        """Add an event; never blocks. After `close` it is dropped."""
        if self._is_closed:
            return
        kind = type(event)
        twin = self._twins.get(kind)
        if twin is not None:
            twin[0] = event
            return
        if len(self._waiting) >= self._limit:
            self.close(self._overflow_event)
            if self._on_overflow is not None:
                self._on_overflow()
            return
        cell = [event]
        if kind in self._replaceable:
            self._twins[kind] = cell
        self._waiting.append(cell)
        self._wake.set()

    def close(self, last: E | None = None) -> None:
        """Take nothing more, after this last event, which is beyond the limit. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        if last is not None:
            self._waiting.append([last])
        self._wake.set()

    def poll(self) -> E | None:
        """The next event, or None when none waits."""
        if not self._waiting:
            return None
        cell = self._waiting.popleft()
        if self._twins.get(type(cell[0])) is cell:
            del self._twins[type(cell[0])]
        return cell[0]

    async def get(self) -> E | None:
        """The next event, or None once the mailbox is closed and empty."""
        while True:
            event = self.poll()
            if event is not None or self._is_closed:
                return event
            self._wake.clear()
            await self._wake.wait()

    async def __aiter__(self) -> AsyncIterator[E]:
        while (event := await self.get()) is not None:
            yield event
