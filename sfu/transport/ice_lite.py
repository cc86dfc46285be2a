"""The ICE-lite side of one peer: answers its checks, binds its addresses, watches its consent. PURE.

A lite agent sends no checks and is always controlled. Whoever cannot prove knowledge of the password gets no
byte back, so nothing can be reflected or amplified; every error that RFC 8489 would have answered with 400
or 401 is a counter here.

    checking --nominated--> connected <--check-- disconnected
                                |--silence-->        |
    (any state) ------------ consent_s without a check ------------> lost --check--> checking

Source: RFC 8445 sections 2.5, 7.3 and 8.2, RFC 7675 (consent), RFC 8489 section 9.1.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from sfu.engine.types import PathKind
from sfu.transport.candidates import normalise_ip
from sfu.transport.stun import StunError, StunMessage, binding_error, binding_success, parse_stun

__all__ = [
    "BindPath",
    "ConsentLost",
    "IceConnected",
    "IceDisconnected",
    "IceEffect",
    "IceLite",
    "IceState",
    "Path",
    "SendStun",
    "UfragsChanged",
    "UnbindPath",
]

_REMEMBERED_CHECKS: Final = 64
_REMEMBERED_NOMINATIONS: Final = 1024
"""The engine answers and remembers those of a settled peer: the ones before come here, and moves."""


class Path(NamedTuple):
    """One way to the peer: what carries it, our socket (index), its address."""

    socket: int
    ip: str
    port: int
    kind: PathKind = "udp"


@dataclass(frozen=True, slots=True)
class SendStun:
    """Send a datagram from a socket of ours."""

    socket: int
    ip: str
    port: int
    data: bytes
    kind: PathKind = "udp"


@dataclass(frozen=True, slots=True)
class BindPath:
    """The peer proved that it is at this address; `selected`: media goes there from now on."""

    socket: int
    ip: str
    port: int
    selected: bool
    kind: PathKind = "udp"


@dataclass(frozen=True, slots=True)
class UnbindPath:
    """Nothing from this address is the peer's any more."""

    socket: int
    ip: str
    port: int
    kind: PathKind = "udp"


@dataclass(frozen=True, slots=True)
class UfragsChanged:
    """Deliver checks for exactly these username fragments."""

    ufrags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IceConnected:
    """A path is nominated, or checks have come back after `IceDisconnected`."""


@dataclass(frozen=True, slots=True)
class IceDisconnected:
    """No check for a while; media may still flow, nothing is unbound."""


@dataclass(frozen=True, slots=True)
class ConsentLost:
    """No check for the consent time (RFC 7675): every path is unbound, nothing may be sent."""


IceEffect = SendStun | BindPath | UnbindPath | UfragsChanged | IceConnected | IceDisconnected | ConsentLost


class IceState(Enum):
    """Where the peer's connectivity stands."""

    CHECKING = auto()
    CONNECTED = auto()
    DISCONNECTED = auto()
    LOST = auto()


class IceLite:
    """One peer's ICE-lite agent.

    Args:
        ufrag, pwd: ours, of at least 8 and 24 characters (`credentials`).
        now: the clock starts here: a peer that never checks loses consent too.
        disconnected_s: silence until `IceDisconnected`.
        consent_s: silence until `ConsentLost`.
        max_paths: addresses bound at a time; the longest silent unselected one gives way.
    """

    def __init__(
        self,
        *,
        ufrag: str,
        pwd: str,
        now: float,
        disconnected_s: float = 10.0,
        consent_s: float = 30.0,
        max_paths: int = 4,
    ) -> None:
        self._generations: dict[str, str] = {}
        self._newest = ufrag
        self._add_generation(ufrag, pwd)
        self._disconnected_s = disconnected_s
        self._consent_s = consent_s
        self._max_paths = max_paths
        self._heard = now
        self._state = IceState.CHECKING
        self._selected: Path | None = None
        self._seen: dict[Path, float] = {}
        self._checks: OrderedDict[bytes, Path] = OrderedDict()
        self._nominations: OrderedDict[bytes, Path] = OrderedDict()
        self._effects: list[IceEffect] = []
        self.dropped: Counter[str] = Counter()
        """Datagrams that had no effect, by reason."""

    @property
    def state(self) -> IceState:
        """Where the peer's connectivity stands."""
        return self._state

    @property
    def selected(self) -> Path | None:
        """Where media goes; None before the first nomination and after consent is lost."""
        return self._selected

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every bound address."""
        return tuple(self._seen)

    @property
    def heard_at(self) -> float:
        """When the last authentic check came."""
        return self._heard

    @property
    def ufrags(self) -> tuple[str, ...]:
        """Our live username fragments: two while a restart is under way."""
        return tuple(self._generations)

    @property
    def settled(self) -> tuple[str, str] | None:
        """Our ufrag and password when checks on the selected path have nothing to change, else None."""
        if self._state is not IceState.CONNECTED or self._selected is None or len(self._generations) > 1:
            return None
        return next(iter(self._generations.items()))

    def restart(self, ufrag: str, pwd: str, now: float) -> None:
        """Begin an ICE restart: the old credentials serve until a path is nominated under the new ones."""
        current = next(iter(self._generations))
        if self._newest != current:
            del self._generations[self._newest]
        self._add_generation(ufrag, pwd)
        self._newest = ufrag
        self._heard = max(self._heard, now)
        if self._state is IceState.LOST:
            self._state = IceState.CHECKING
        self._effects.append(UfragsChanged(self.ufrags))

    def receive(
        self, data: bytes, socket: int, ip: str, port: int, now: float, kind: PathKind = "udp"
    ) -> None:
        """Take one datagram that looks like STUN. Never raises: what is not a valid check is counted."""
        try:
            check = parse_stun(data)
            path = Path(socket, normalise_ip(ip), port, kind)
        except (StunError, ValueError):
            self.dropped["malformed"] += 1
            return
        ufrag = check.username.partition(":")[0]
        pwd = self._generations.get(ufrag)
        if not check.is_request:
            self.dropped["not_a_request"] += 1
        elif pwd is None or ":" not in check.username:
            self.dropped["unknown_username"] += 1
        elif not check.is_authentic(pwd):
            self.dropped["not_authentic"] += 1
        elif not self._is_fresh(check, path):
            self.dropped["replayed"] += 1
        else:
            self._answer(check, ufrag, pwd, path, now)

    def hear(self, at: float) -> None:
        """Take that the engine answered an authentic check on the selected path then, by `now`'s clock."""
        self._heard = max(self._heard, at)
        if self._selected is not None:
            self._seen[self._selected] = max(self._seen[self._selected], at)

    def lose(self, path: Path) -> None:
        """What carried a path is gone. The peer has the consent time to come back by another."""
        if self._seen.pop(path, None) is None or path != self._selected:
            return
        self._selected = None
        if self._state is IceState.CONNECTED:
            self._state = IceState.DISCONNECTED
            self._effects.append(IceDisconnected())

    def tick(self, now: float) -> None:
        """Let time pass: paths expire, then consent."""
        for path, seen in list(self._seen.items()):
            if path != self._selected and now >= seen + self._consent_s:
                self._unbind(path)
        if self._state is IceState.LOST:
            return
        if now >= self._heard + self._consent_s:
            self._lose()
        elif self._state is IceState.CONNECTED and now >= self._heard + self._disconnected_s:
            self._state = IceState.DISCONNECTED
            self._effects.append(IceDisconnected())

    def poll(self) -> Iterator[IceEffect]:
        """What to do now, in order; each effect once."""
        effects, self._effects = self._effects, []
        yield from effects

    def deadline(self) -> float | None:
        """When to `tick` next; None when nothing can happen by itself."""
        times = [seen + self._consent_s for path, seen in self._seen.items() if path != self._selected]
        if self._state is IceState.CONNECTED:
            times.append(self._heard + self._disconnected_s)
        elif self._state is not IceState.LOST:
            times.append(self._heard + self._consent_s)
        return min(times, default=None)

    def _add_generation(self, ufrag: str, pwd: str) -> None:
        if len(ufrag) < 8 or len(pwd) < 24:
            raise ValueError("ICE credentials are too short to be unguessable")
        if ufrag in self._generations:
            raise ValueError("an ICE restart needs a new ufrag")
        self._generations[ufrag] = pwd

    def _is_fresh(self, check: StunMessage, path: Path) -> bool:
        """Whether a check is not a copy, sent from elsewhere, of one that came before.

        A retransmission comes from the same address. Without this, whoever overhears one nomination could
        move the peer's media by repeating it from an address of his own. Nominations have room of their own,
        which other checks do not use up.
        """
        known, limit = self._checks, _REMEMBERED_CHECKS
        if check.use_candidate:
            known, limit = self._nominations, _REMEMBERED_NOMINATIONS
        if known.setdefault(check.transaction, path) != path:
            return False
        if len(known) > limit:
            known.popitem(last=False)
        return True

    def _answer(self, check: StunMessage, ufrag: str, pwd: str, path: Path, now: float) -> None:
        if check.unknown:
            # RFC 8489 section 6.3.1.
            self._send(path, binding_error(check.transaction, 420, "Unknown Attribute", pwd, check.unknown))
            return
        if check.is_controlled:
            # RFC 8445 section 7.3.1.1: the lite agent stays controlled.
            self._send(path, binding_error(check.transaction, 487, "Role Conflict", pwd))
            return
        self._heard = max(self._heard, now)
        if self._state is IceState.LOST:
            self._state = IceState.CHECKING
        self._bind(path, now)
        if check.use_candidate:
            self._nominate(path, ufrag)
        elif self._state is IceState.DISCONNECTED:
            self._connect()
        # Last: what the peer sends upon the answer, its DTLS hello, must find the path bound.
        self._send(path, binding_success(check.transaction, path.ip, path.port, pwd))

    def _bind(self, path: Path, now: float) -> None:
        is_new = path not in self._seen
        if is_new and len(self._seen) >= self._max_paths:
            self._unbind(
                min((other for other in self._seen if other != self._selected), key=self._seen.__getitem__)
            )
        self._seen[path] = now
        if is_new:
            self._effects.append(BindPath(path.socket, path.ip, path.port, selected=False, kind=path.kind))

    def _nominate(self, path: Path, ufrag: str) -> None:
        """Follow the latest nomination; one under new credentials ends the restart (RFC 8445 section 9)."""
        if ufrag == self._newest and len(self._generations) > 1:
            self._generations = {ufrag: self._generations[ufrag]}
            self._effects.append(UfragsChanged(self.ufrags))
        if path != self._selected:
            self._selected = path
            self._effects.append(BindPath(path.socket, path.ip, path.port, selected=True, kind=path.kind))
        if self._state is not IceState.CONNECTED:
            self._connect()

    def _connect(self) -> None:
        self._state = IceState.CONNECTED
        self._effects.append(IceConnected())

    def _lose(self) -> None:
        self._selected = None
        for path in list(self._seen):
            self._unbind(path)
        self._state = IceState.LOST
        self._effects.append(ConsentLost())

    def _unbind(self, path: Path) -> None:
        del self._seen[path]
        self._effects.append(UnbindPath(*path))

    def _send(self, path: Path, data: bytes) -> None:
        self._effects.append(SendStun(path.socket, path.ip, path.port, data, path.kind))
