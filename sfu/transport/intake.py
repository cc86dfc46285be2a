"""How many datagrams of one remote come as far as Python.

PURE: time comes in by parameter.
"""

from collections import Counter
from typing import Final

from sfu.transport.budget import Budget

# A browser checks each pair every 50 ms at worst until one works, later every 2.5 s.
_CHECKS_PER_S: Final = 50.0
_CHECKS_BURST: Final = 200
# A handshake is a dozen datagrams each way; retransmissions double that.
_HANDSHAKE_PER_S: Final = 20.0
_HANDSHAKE_BURST: Final = 100
# An association has a budget of its own; this one bounds what is decrypted for it.
_DATA_PER_S: Final = 600.0
_DATA_BURST: Final = 1_200


class Intake:
    """The budgets of one peer; what they refuse is counted."""

    def __init__(self, dropped: Counter[str], now: float) -> None:
        self._dropped = dropped
        self._checks = Budget(per_s=_CHECKS_PER_S, burst=_CHECKS_BURST, now=now)
        self._handshake = Budget(per_s=_HANDSHAKE_PER_S, burst=_HANDSHAKE_BURST, now=now)
        self._data = Budget(per_s=_DATA_PER_S, burst=_DATA_BURST, now=now)

    def allows_check(self, now: float) -> bool:
        """Whether a STUN check may be looked at."""
        return self._allows(self._checks, "stun_over_budget", now)

    def allows_dtls(self, now: float, *, carries_data: bool) -> bool:
        """Whether a DTLS datagram may be looked at."""
        return self._allows(self._data if carries_data else self._handshake, "dtls_over_budget", now)

    def _allows(self, budget: Budget, reason: str, now: float) -> bool:
        is_allowed = budget.allow(now)
        if not is_allowed:
            self._dropped[reason] += 1
        return is_allowed
