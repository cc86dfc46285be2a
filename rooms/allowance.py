"""How much data may still be sent: by one person, in one room, by all of a node.

PURE: time is an argument.
"""


class Allowance:
    """A token bucket that may be overdrawn once: what is asked for is granted whole while anything is left.

    So a message that is dearer than the whole burst still passes, and the long run holds.
    """

    __slots__ = ("_at", "_burst", "_left", "_per_s")

    def __init__(self, *, per_s: float, burst: float, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._at = now

    def wait_s(self, now: float) -> float:
        """How long until something is left; 0 when it is."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        return 0.0 if self._left > 0 else (1e-3 - self._left) / self._per_s

    def spend(self, cost: float) -> None:
        """Take what `wait_s` has just found there to be."""
        self._left -= cost
