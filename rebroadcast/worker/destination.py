"""The life of one destination, as a state machine that tells the truth.

PURE. An accepted publish proves nothing (some servers accept, then apply their rules), so a destination is
live only once the other host has acknowledged media bytes, and degraded as soon as it stops acknowledging.
"""

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

RETRY_FIRST_S: Final = 0.5
RETRY_MOST_S: Final = 30.0
RETRY_SOON_MOST_S: Final = 4.0
RETRY_SOON_FOR_S: Final = 120.0
"""A site that had proved itself is tried at short intervals for so long: it is likely to be back soon."""
PROVEN_S: Final = 10.0
"""Live for so long, a site has its failures forgotten; some take media for a moment before they refuse it."""
STALL_DEGRADED_S: Final = 1.5
"""Unless the connection says that it needs longer."""
STALL_BROKEN_S: Final = 10.0


class DestinationState(StrEnum):
    """What is shown of a destination, in the API and on the page."""

    IDLE = "idle"
    CONNECTING = "connecting"
    LIVE = "live"
    DEGRADED = "degraded"
    BACKING_OFF = "backing_off"
    FAILED = "failed"
    STOPPED = "stopped"


_SETTLED: Final = frozenset({DestinationState.BACKING_OFF, DestinationState.FAILED, DestinationState.STOPPED})


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection now."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Reset the connection: the other side has stopped taking bytes."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The state to report, with the reason a person can act on."""

    state: DestinationState
    reason: str


Effect = Connect | Disconnect | StateChanged


class Destination:
    """Decides when to connect, what to report and when to try again; the shell owns the socket.

    Retries go on until `stop`: a partner that comes back is served again without anybody's help.
    """

    def __init__(self, *, rng: Random) -> None:
        self._rng = rng
        self._state = DestinationState.IDLE
        self._reason = ""
        self._effects: list[Effect] = []
        self._failures = 0
        self._live_from = 0.0
        self._is_proven = False
        self._lost_at: float | None = None
        self._retry_at: float | None = None
        self._acknowledged = 0
        self._progress_at = 0.0
        self._is_waiting_for_bytes = False
        self._patience_s = STALL_DEGRADED_S

    @property
    def state(self) -> DestinationState:
        """The state as last reported."""
        return self._state

    @property
    def reason(self) -> str:
        """Why the state is what it is; empty when all is well."""
        return self._reason

    def poll(self) -> list[Effect]:
        """Hands over the effects that have gathered, oldest first."""
        effects, self._effects = self._effects, []
        return effects

    def deadline(self) -> float | None:
        """When `tick` must be called next; None while idle or stopped."""
        if self._retry_at is not None:
            return self._retry_at
        if self._is_open() and self._is_waiting_for_bytes:
            is_live = self._state is DestinationState.LIVE
            return self._progress_at + (self._patience_s if is_live else STALL_BROKEN_S)
        return None

    def start(self, now: float) -> None:
        """Begins; the first attempt is made at once."""
        if self._state is DestinationState.IDLE:
            self._attempt(now)

    def opened(self, now: float) -> None:
        """The publish was accepted; live only after `acknowledged` has moved."""
        self._acknowledged = 0
        self._progress_at = now
        self._is_waiting_for_bytes = True

    def acknowledged(
        self, total_bytes: int, *, is_waiting: bool, now: float, patience_s: float = STALL_DEGRADED_S
    ) -> None:
        """The other host has acknowledged `total_bytes` of this connection's media.

        `is_waiting`: whether sent bytes are still unacknowledged; `patience_s`: how long nothing need be
        acknowledged while all is well.
        """
        self._patience_s = patience_s
        if not self._is_open():
            return
        if total_bytes > self._acknowledged or not is_waiting:
            self._progress_at = now
        self._is_waiting_for_bytes = is_waiting
        if total_bytes > self._acknowledged:
            self._acknowledged = total_bytes
            if self._state is not DestinationState.LIVE:
                self._live_from = now
            self._enter(DestinationState.LIVE, "")
        if self._state is DestinationState.LIVE and now - self._live_from >= PROVEN_S:
            self._failures = 0
            self._is_proven = True

    def tick(self, now: float) -> None:
        """Acts on the deadline that passed."""
        if self._retry_at is not None:
            if now >= self._retry_at:
                self._attempt(now)
            return
        if not self._is_open() or not self._is_waiting_for_bytes:
            return
        stalled_s = now - self._progress_at
        if stalled_s >= STALL_BROKEN_S:
            self._effects.append(Disconnect())
            self.closed("the site stopped taking bytes", now)
        elif stalled_s >= self._patience_s and self._state is DestinationState.LIVE:
            self._enter(DestinationState.DEGRADED, "the site takes no bytes at the moment")

    def closed(self, reason: str, now: float) -> None:
        """The connection could not be made, was refused, or broke."""
        if self._state in _SETTLED:
            return
        if self._is_proven:
            self._is_proven, self._lost_at = False, now
        self._back_off(reason, now, self._failures)
        self._failures = min(self._failures + 1, 16)

    def cut(self, reason: str, now: float) -> None:
        """The connection was reset here, for a cut: nothing is wrong with the site."""
        if self._state not in _SETTLED:
            self._back_off(reason, now, 0)

    def _back_off(self, reason: str, now: float, failures: int) -> None:
        is_soon = self._lost_at is not None and now - self._lost_at < RETRY_SOON_FOR_S
        most_s = RETRY_SOON_MOST_S if is_soon else RETRY_MOST_S
        delay_s = min(RETRY_FIRST_S * 2**failures, most_s) * self._rng.uniform(0.75, 1.0)
        self._retry_at = now + delay_s
        self._is_waiting_for_bytes = False
        self._enter(DestinationState.BACKING_OFF, reason)

    def refused(self, reason: str) -> None:
        """The destination may not be served (address policy, partner terms); nothing is tried again."""
        self._retry_at = None
        self._is_waiting_for_bytes = False
        self._enter(DestinationState.FAILED, reason)

    def stop(self) -> None:
        """Ends for good."""
        self._retry_at = None
        self._is_waiting_for_bytes = False
        self._enter(DestinationState.STOPPED, "")

    def _attempt(self, now: float) -> None:
        self._retry_at = None
        self._progress_at = now
        self._enter(DestinationState.CONNECTING, self._reason)
        self._effects.append(Connect())

    def _is_open(self) -> bool:
        return self._state in {DestinationState.CONNECTING, DestinationState.LIVE, DestinationState.DEGRADED}

    def _enter(self, state: DestinationState, reason: str) -> None:
        if (state, reason) != (self._state, self._reason):
            self._state, self._reason = state, reason
            self._effects.append(StateChanged(state, reason))
