"""One person's use of data channels: what is left of it, and what they have not been told yet."""

from dataclasses import dataclass
from typing import Self

from policy import Limits
from rooms.allowance import Allowance
from rooms.clock import Timer
from rooms.errors import Code
from rooms.events import DataLost, DataRefused


@dataclass(slots=True)
class DataAccount:
    """Counts since the join; events are gathered until `news` is asked for."""

    messages: Allowance
    bytes: Allowance
    timer: Timer | None = None
    """Set while something is to be told."""
    _refused: int = 0
    _lost: int = 0
    _refusal: tuple[Code, str, float | None] | None = None
    _is_loss_new: bool = False

    @classmethod
    def open(cls, limits: Limits, now: float) -> Self:
        """A fresh account."""
        return cls(
            Allowance(per_s=limits.data_per_s, burst=limits.data_burst, now=now),
            Allowance(per_s=limits.data_bytes_per_s, burst=limits.data_bytes_burst, now=now),
        )

    def wait_s(self, now: float) -> float:
        """How long until the person may send again; 0 at once."""
        return max(self.messages.wait_s(now), self.bytes.wait_s(now))

    def spend(self, size: int) -> None:
        """One message of so many bytes, after `wait_s` was 0."""
        self.messages.spend(1)
        self.bytes.spend(size)

    def refuse(self, code: Code, reason: str, retry_after_s: float | None) -> None:
        """A message of the person went to nobody."""
        self._refused += 1
        self._refusal = (code, reason, retry_after_s)

    def lose(self) -> None:
        """The person did not keep up: a reliable message for them was lost."""
        self._lost += 1
        self._is_loss_new = True

    def news(self) -> list[DataRefused | DataLost]:
        """What the person has not been told yet."""
        found: list[DataRefused | DataLost] = []
        if self._refusal is not None:
            code, reason, retry_after_s = self._refusal
            found.append(DataRefused(str(code), reason, self._refused, retry_after_s))
        if self._is_loss_new:
            found.append(DataLost(self._lost))
        self._refusal, self._is_loss_new = None, False
        return found
