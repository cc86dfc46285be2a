"""What waits for a viewer's chat feed: lines, and the ends of lines."""

import asyncio
from collections import OrderedDict
from typing import Final

from rooms import Chat, ChatDeleted

MOST: Final = 200
"""Lines that wait, and as many ends of lines."""


class ChatFeed:
    """For one reader at a time, on the event loop's thread.

    A line that is taken back while it waits is never read. When the reader is slow, the oldest line goes, and
    of ends of lines the oldest one.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[str, Chat] = OrderedDict()
        self._ends: OrderedDict[str, ChatDeleted] = OrderedDict()
        self._is_over = False
        self._wake = asyncio.Event()

    def put(self, event: Chat | ChatDeleted) -> None:
        """Take a line, or the end of one; never blocks."""
        match event:
            case Chat(message):
                self._lines[message.id] = event
                if len(self._lines) > MOST:
                    self._lines.popitem(last=False)
            case ChatDeleted(line):
                if self._lines.pop(line, None) is None:
                    self._ends[line] = event
                    if len(self._ends) > MOST:
                        self._ends.popitem(last=False)
        self._wake.set()

    def close(self) -> None:
        """Nothing comes after what waits."""
        self._is_over = True
        self._wake.set()

    async def get(self) -> Chat | ChatDeleted | None:
        """What is next, ends of lines first; None: it is over."""
        while not (self._ends or self._lines or self._is_over):
            self._wake.clear()
            await self._wake.wait()
        if self._ends:
            return self._ends.popitem(last=False)[1]
        if self._lines:
            return self._lines.popitem(last=False)[1]
        return None
