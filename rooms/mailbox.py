"""A bounded queue of events for one consumer."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Generic, TypeVar

E = TypeVar("E")


class Mailbox(Generic[E]):
    """Events in order, for one consumer on the event loop's thread.

    Overflow rule: an event of a `replaceable` type drops its waiting twin and waits at the end, so those
    never pile up, nor overtake what was told before; one more event than `limit` closes the mailbox for
    good, with `overflow_event` as its last, and calls `on_overflow` once: the owner ends the consumer.
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
        self._waiting: OrderedDict[int | type, E] = OrderedDict()
        """By type if replaceable, else by a number of its own."""
        self._numbers = count()
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
        key = kind if kind in self._replaceable else next(self._numbers)
        self._waiting.pop(key, None)
        if len(self._waiting) >= self._limit:
            self.close(self._overflow_event)
            if self._on_overflow is not None:
                self._on_overflow()
            return
        self._waiting[key] = event
        self._wake.set()

    def close(self, last: E | None = None) -> None:
        """Take nothing more, after this last event, which is beyond the limit. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        if last is not None:
            self._waiting[next(self._numbers)] = last
        self._wake.set()

    def poll(self) -> E | None:
        """The next event, or None when none waits."""
        return self._waiting.popitem(last=False)[1] if self._waiting else None

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
