"""What waits to be sent to one client: bounded in messages and bytes."""

import asyncio
from collections import deque


class Outbox:
    """A queue with one reader, on the event loop's thread.

    Overflow rule: the message that does not fit makes the reader a slow one; `put` says so and nothing
    more is taken.
    """

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._is_closed = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, message: bytes) -> bool:
        """Add a message; False when it does not fit."""
        if self._is_closed:
            return True
        if len(self._waiting) >= self._max_messages or self._size + len(message) > self._max_bytes:
            self.discard()
            return False
        self._waiting.append(message)
        self._size += len(message)
        self._idle.clear()
        self._wake.set()
        return True

    def close(self) -> None:
        """Take nothing more; what waits may still go."""
        self._is_closed = True
        self._wake.set()

    def discard(self) -> None:
        """Take nothing more and drop what waits."""
        self._waiting.clear()
        self._size = 0
        self._idle.set()
        self.close()

    async def get(self) -> bytes | None:
        """The next message, or None once closed and empty."""
        while not self._waiting:
            self._idle.set()
            if self._is_closed:
                return None
            self._wake.clear()
            await self._wake.wait()
        message = self._waiting.popleft()
        self._size -= len(message)
        return message

    async def drained(self) -> None:
        """Return when nothing waits and the last message was handed over."""
        await self._idle.wait()
