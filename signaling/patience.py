"""A limit on how long one thing at a time may take, without a timer for each."""

import asyncio
from collections.abc import Callable


class Patience:
    """Calls back once something that began has not ended for so long; on the event loop's thread.

    A timer costs more than sending a short message. Here one runs at most, and only moves on when it is due.
    """

    def __init__(self, seconds: float, on_over: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._on_over = on_over
        self._due: float | None = None
        """When what goes on now has to be done; None: nothing does."""
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Something begins."""
        self._due = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._look)

    def end(self) -> None:
        """It is done."""
        self._due = None

    def close(self) -> None:
        """Never call back again. Idempotent."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        # A timer may fire within the clock's grain before it is due.
        if self._loop.time() + 0.001 < self._due:
            self._timer = self._loop.call_at(self._due, self._look)
            return
        self._due = None
        self._on_over()
