"""A token bucket: how much work one remote may cause.

PURE: time comes in by parameter.
"""


class Budget:
    """Allows `burst` at once and `per_s` in the long run."""

    __slots__ = ("_at", "_burst", "_per_s", "_tokens", "refused")

    def __init__(self, *, per_s: float, burst: int, now: float) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at = now
        self.refused = 0
        """How often there was none left."""

    def allow(self, now: float, cost: float = 1.0) -> bool:
        """Take `cost` tokens; False when there are not so many left."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        if self._tokens < cost:
            self.refused += 1
            return False
        self._tokens -= cost
        return True
