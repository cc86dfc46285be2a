"""What a track of sound takes, so that pictures get what it leaves.

PURE: no I/O; time comes in as seconds of any steady clock.
"""

from dataclasses import dataclass, field
from typing import Final

HALVES_S: Final = 30.0
"""A peak counts half after so long: who pauses speaks again, and pictures are not to go and come with it."""

NOTICED: Final = 0.1
"""Share by which a sound's rate must change before receivers are allocated anew."""

WRAPPING_BPS: Final = 18_000
"""What IP, UDP and SRTP add to fifty packets a second."""


@dataclass(frozen=True, slots=True)
class SoundRates:
    """What a track of sound is counted with, bits per second, overhead included. At first a usual voice."""

    plain: float = 40_000
    with_copies: float = 72_000
    """The same with a copy of each frame (RED), in the same packets."""


@dataclass(slots=True)
class SoundMeter:
    """The most that a track of sound has taken of late."""

    rates: SoundRates = field(default_factory=SoundRates)
    """What receivers are allocated by."""
    _peak: SoundRates = field(default_factory=SoundRates)
    _peak_at: float | None = None

    def receive(self, plain_bps: int, whole_bps: int, now: float) -> bool:
        """Take what it takes now, without its copies and with them; True when `rates` changed by that."""
        left = 1.0 if self._peak_at is None else 0.5 ** ((now - self._peak_at) / HALVES_S)
        self._peak = SoundRates(
            max(plain_bps + WRAPPING_BPS, left * self._peak.plain),
            max(whole_bps + WRAPPING_BPS, left * self._peak.with_copies),
        )
        self._peak_at = now
        if _is_near(self._peak.plain, self.rates.plain) and _is_near(
            self._peak.with_copies, self.rates.with_copies
        ):
            return False
        self.rates = self._peak
        return True


def _is_near(bps: float, known: float) -> bool:
    return abs(bps - known) <= NOTICED * known
