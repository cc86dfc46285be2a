"""Time as a parameter: broadcasts read clocks and wait through this alone."""

from typing import Protocol


class Clock(Protocol):
    """The time that broadcasts run on."""

    def wall_ms(self) -> int:
        """Unix time in milliseconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...

    async def sleep(self, s: float) -> None:
        """Waits."""
        ...
