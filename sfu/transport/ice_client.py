"""The controlling side of ICE over one pair: client mode of the core, tests, pushing to other servers. PURE.

It checks one remote address with USE-CANDIDATE until that answers, then keeps consent fresh; a full agent's
own checks are answered too.

Source: RFC 8445 sections 7.2 and 8.1, RFC 7675 section 5.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import Final

from sfu.transport.candidates import normalise_ip
from sfu.transport.ice_lite import ConsentLost, IceConnected, SendStun
from sfu.transport.stun import StunError, StunMessage, binding_request, binding_success, parse_stun

__all__ = ["ClientIceEffect", "IceClient", "IceClientState", "IceFailed"]

_PRIORITY: Final = (110 << 24) + (65_535 << 8) + 255
"""Of the peer-reflexive candidate that a check may reveal (RFC 8445 section 7.1.1)."""
_FIRST_INTERVAL_S: Final = 0.05
_LAST_INTERVAL_S: Final = 1.6
_CONSENT_INTERVAL_S: Final = 5.0
_REMEMBERED_CHECKS: Final = 8


@dataclass(frozen=True, slots=True)
class IceFailed:
    """The pair never worked."""

    reason: str


ClientIceEffect = SendStun | IceConnected | ConsentLost | IceFailed


class IceClientState(Enum):
    """Where the pair stands."""

    CHECKING = auto()
    CONNECTED = auto()
    CLOSED = auto()


class IceClient:
    """One pair, checked and kept alive.

    Args:
        local, remote: (ufrag, pwd) of each side.
        socket, ip, port: the pair: our socket's index and the remote address.
        rng: transaction ids, tie breaker and the spread of consent checks.
        now: checking begins here.
        connect_s: until `IceFailed`.
        consent_s: without an answer until `ConsentLost`.
    """

    def __init__(
        self,
        *,
        local: tuple[str, str],
        remote: tuple[str, str],
        socket: int,
        ip: str,
        port: int,
        rng: Random,
        now: float,
        connect_s: float = 10.0,
        consent_s: float = 30.0,
    ) -> None:
        self._local = local
        self._remote = remote
        self._address = (socket, normalise_ip(ip), port)
        self._rng = rng
        self._tie_breaker = rng.getrandbits(64)
        self._state = IceClientState.CHECKING
        self._answered = now
        self._give_up = now + connect_s
        self._consent_s = consent_s
        self._next = now
        self._interval_s = _FIRST_INTERVAL_S
        self._pending: list[bytes] = []
        self._effects: list[ClientIceEffect] = []

    @property
    def state(self) -> IceClientState:
        """Where the pair stands."""
        return self._state

    @property
    def address(self) -> tuple[int, str, int]:
        """The pair: our socket's index, the remote's IP and port."""
        return self._address

    def receive(self, data: bytes, socket: int, ip: str, port: int, now: float) -> None:
        """Take one datagram that looks like STUN; what is none of ours is ignored. Never raises."""
        try:
            message = parse_stun(data)
        except StunError:
            return
        if self._state is IceClientState.CLOSED or (socket, normalise_ip(ip), port) != self._address:
            return
        if message.is_request:
            self._answer(message)
        elif message.transaction in self._pending and message.is_authentic(self._remote[1]):
            self._pending.clear()
            self._settle(message, now)

    def tick(self, now: float) -> None:
        """Send the check that is due, or give up."""
        if self._state is IceClientState.CHECKING and now >= self._give_up:
            self._close(IceFailed("no answer to any check"))
        elif self._state is IceClientState.CONNECTED and now >= self._answered + self._consent_s:
            self._close(ConsentLost())
        elif self._state is not IceClientState.CLOSED and now >= self._next:
            self._check(now)

    def poll(self) -> Iterator[ClientIceEffect]:
        """What to do now, in order; each effect once."""
        effects, self._effects = self._effects, []
        yield from effects

    def deadline(self) -> float | None:
        """When to `tick` next; None when the pair is closed."""
        match self._state:
            case IceClientState.CHECKING:
                return min(self._next, self._give_up)
            case IceClientState.CONNECTED:
                return min(self._next, self._answered + self._consent_s)
            case IceClientState.CLOSED:
                return None

    def _check(self, now: float) -> None:
        transaction = self._rng.randbytes(12)
        self._pending = [*self._pending[1 - _REMEMBERED_CHECKS :], transaction]
        request = binding_request(
            transaction,
            f"{self._remote[0]}:{self._local[0]}",
            self._remote[1],
            priority=_PRIORITY,
            tie_breaker=self._tie_breaker,
            use_candidate=True,
        )
        self._effects.append(SendStun(*self._address, request))
        if self._state is IceClientState.CONNECTED:
            # RFC 7675 section 5.1: spread by a fifth, so that checks of many sessions do not fall together.
            self._next = now + _CONSENT_INTERVAL_S * self._rng.uniform(0.8, 1.2)
        else:
            self._next = now + self._interval_s
            self._interval_s = min(self._interval_s * 2, _LAST_INTERVAL_S)

    def _settle(self, message: StunMessage, now: float) -> None:
        if message.is_error:
            if self._state is IceClientState.CHECKING:
                self._close(IceFailed(f"the check was refused with {message.error}"))
            return
        if not message.is_success:
            return
        self._answered = now
        if self._state is IceClientState.CHECKING:
            self._state = IceClientState.CONNECTED
            self._next = now + _CONSENT_INTERVAL_S * self._rng.uniform(0.8, 1.2)
            self._effects.append(IceConnected())

    def _answer(self, check: StunMessage) -> None:
        if check.username == f"{self._local[0]}:{self._remote[0]}" and check.is_authentic(self._local[1]):
            _, ip, port = self._address
            self._effects.append(
                SendStun(*self._address, binding_success(check.transaction, ip, port, self._local[1]))
            )

    def _close(self, effect: ClientIceEffect) -> None:
        self._state = IceClientState.CLOSED
        self._effects.append(effect)
