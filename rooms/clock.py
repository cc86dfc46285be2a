"""Time as a parameter: rooms read clocks and set timers through this alone."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol


class Timer(Protocol):
    """A timer that has been set."""

    def cancel(self) -> None:
        """Unset it; harmless when it has fired."""
        ...


class Clock(Protocol):
    """Monotonic time for durations, wall time for instants that leave the process."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...

    def wall_ms(self) -> int:
        """Unix milliseconds."""
        ...

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back once, on the event loop's thread, after `delay_s` seconds."""
        ...


class SystemClock:
    """The machine's clocks and the running event loop's timers."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Unix milliseconds."""
        return time.time_ns() // 1_000_000

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back once, on the event loop's thread, after `delay_s` seconds."""
        return asyncio.get_running_loop().call_later(delay_s, callback)


async def wait_all(clock: Clock, futures: Iterable["asyncio.Future[Any]"], seconds: float) -> bool:
    """Wait until all futures are done, at most `seconds`; whether they all are. Results stay untouched."""
    pending = {future for future in futures if not future.done()}
    if not pending:
        return True
    expired: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_later(seconds, lambda: None if expired.done() else expired.set_result(None))
    try:
        while pending and not expired.done():
            await asyncio.wait({*pending, expired}, return_when=asyncio.FIRST_COMPLETED)
            pending = {future for future in pending if not future.done()}
    finally:
        timer.cancel()
        expired.cancel()
    return not pending
