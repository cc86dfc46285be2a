"""One timer of the running loop, set to whatever is due next."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `act` when the time has come that it was set to last."""

    __slots__ = ("_act", "_timer")

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._timer: asyncio.TimerHandle | None = None

    def set(self, due: float | None) -> None:
        """Ring at that time of the loop's clock, and not before; None: not at all."""
        if self._timer is not None:
            if self._timer.when() == due:
                return
            self._timer.cancel()
        self._timer = None if due is None else asyncio.get_running_loop().call_at(due, self._ring)

    def cancel(self) -> None:
        """Ring no more."""
        self.set(None)

    def _ring(self) -> None:
        self._timer = None
        self._act()
