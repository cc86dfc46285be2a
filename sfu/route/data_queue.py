"""Data messages on their way from publishers to the room: a bounded queue beside that of the events.

PURE but for the queue's wake-up, which needs an event loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from sfu.route.events import PeerId
from sfu.transport.dcep import ChannelKind

MAX_WAITING: Final = 2_048
MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A message of a publisher's data channel, as it was sent; what it means is the room's affair."""

    peer: PeerId
    kind: ChannelKind
    message: bytes


@dataclass(frozen=True, slots=True)
class DataSent:
    """What became of a data message: to how many it goes, and who have lost it.

    They do not keep up, or take no message so long.
    """

    sent: int
    lost: tuple[PeerId, ...]


@dataclass(slots=True)
class DataQueue:
    """Bounded queue with one consumer, on the event loop's thread.

    Overflow rule: whoever puts asks `has_room` before, and leaves a packet that finds none to be sent again
    by its peer; so at most the messages of one packet are beyond the bounds.
    """

    _waiting: deque[DataReceived] = field(default_factory=deque)
    _bytes: int = 0
    _closed: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def has_room(self) -> bool:
        """Whether more may come."""
        return len(self._waiting) < MAX_WAITING and self._bytes < MAX_BYTES

    def put(self, message: DataReceived) -> None:
        """Add a message; never blocks."""
        if not self._closed:
            self._waiting.append(message)
            self._bytes += len(message.message)
            self._wake.set()

    def close(self) -> None:
        """End the iteration, and drop what waits: there is nobody any more to get it."""
        self._closed = True
        self._waiting.clear()
        self._bytes = 0
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[DataReceived]:
        while True:
            while self._waiting:
                message = self._waiting.popleft()
                self._bytes -= len(message.message)
                yield message
            if self._closed:
                return
            self._wake.clear()
            await self._wake.wait()
