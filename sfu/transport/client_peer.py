"""One peer connection as the offering, controlling side: connectivity checks over one pair, then DTLS. PURE.

Source: RFC 8445 section 8.1, RFC 5763 section 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import assert_never

from sfu.sdp import DtlsRole, Fingerprint
from sfu.transport.dtls import Dtls, DtlsClosed, DtlsConnected, DtlsData, DtlsFailed, SendDtls
from sfu.transport.dtls_identity import DtlsIdentity
from sfu.transport.ice_client import IceClient, IceFailed
from sfu.transport.ice_lite import ConsentLost, IceConnected, SendStun
from sfu.transport.srtp import SrtpSessions
from sfu.wire import DatagramKind, classify

__all__ = ["ClientConnected", "ClientEffect", "ClientLost", "ClientPeer", "ClientSend"]


@dataclass(frozen=True, slots=True)
class ClientSend:
    """Send a datagram to the remote address."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ClientConnected:
    """The keys are here."""

    sessions: SrtpSessions


@dataclass(frozen=True, slots=True)
class ClientLost:
    """The connection does not come about, or broke."""

    reason: str


ClientEffect = ClientSend | ClientConnected | ClientLost


class ClientPeer:
    """One pair and one association.

    Args:
        identity: our certificate.
        local, remote: (ufrag, pwd) of each side.
        socket, ip, port: the pair: our socket's index and the remote address.
        role: our side of the handshake.
        fingerprints: of the remote certificate.
        rng: transaction ids, tie breaker and the spread of consent checks.
        now: checking begins here.
        hello_after_s: from the first answered check to the DTLS hello, for servers that lose one which comes
            at once (a browser repeats it after 50 ms, OpenSSL only after a second).
    """

    def __init__(
        self,
        *,
        identity: DtlsIdentity,
        local: tuple[str, str],
        remote: tuple[str, str],
        socket: int,
        ip: str,
        port: int,
        role: DtlsRole,
        fingerprints: Sequence[Fingerprint],
        rng: Random,
        now: float,
        hello_after_s: float = 0.0,
    ) -> None:
        self._ice = IceClient(local=local, remote=remote, socket=socket, ip=ip, port=port, rng=rng, now=now)
        self._dtls = Dtls(identity, role, fingerprints, now)
        self._hello_after_s = hello_after_s
        self._hello_at: float | None = None
        self._is_answered = self._is_lost = False
        self._effects: list[ClientEffect] = []

    @property
    def is_answered(self) -> bool:
        """Whether a connectivity check was answered."""
        return self._is_answered

    @property
    def address(self) -> tuple[int, str, int]:
        """The pair: our socket's index, the remote's IP and port."""
        return self._ice.address

    def receive(self, data: bytes, socket: int, ip: str, port: int, now: float) -> None:
        """Take one datagram; what is neither STUN nor DTLS is ignored. Never raises."""
        match classify(data):
            case DatagramKind.STUN:
                self._ice.receive(data, socket, ip, port, now)
            case DatagramKind.DTLS:
                self._dtls.receive(data, now)
            case _:
                return
        self._advance(now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        for machine in (self._ice, self._dtls):
            due = machine.deadline()
            if due is not None and now >= due:
                machine.tick(now)
        self._advance(now)

    def poll(self) -> Iterator[ClientEffect]:
        """What to do now, in order; each effect once."""
        effects, self._effects = self._effects, []
        yield from effects

    def deadline(self) -> float | None:
        """When to `tick` next; None when nothing is pending."""
        dues = (self._ice.deadline(), self._dtls.deadline(), self._hello_at)
        return min((due for due in dues if due is not None), default=None)

    def close(self) -> None:
        """Say goodbye: `poll` has the last datagram."""
        self._dtls.close()
        self._effects = [ClientSend(item.data) for item in self._dtls.poll() if isinstance(item, SendDtls)]

    def _advance(self, now: float) -> None:
        for effect in self._ice.poll():
            match effect:
                case SendStun():
                    self._effects.append(ClientSend(effect.data))
                case IceConnected():
                    self._is_answered = True
                    self._hello_at = now + self._hello_after_s
                case IceFailed():
                    self._lose(effect.reason)
                case ConsentLost():
                    self._lose("consent lost")
                case _ as never:
                    assert_never(never)
        if self._hello_at is not None and now >= self._hello_at:
            self._hello_at = None
            self._dtls.start(now)
        for item in self._dtls.poll():
            match item:
                case SendDtls():
                    self._effects.append(ClientSend(item.data))
                case DtlsConnected():
                    self._effects.append(ClientConnected(item.sessions))
                case DtlsFailed():
                    self._lose(f"DTLS: {item.reason}")
                case DtlsClosed():
                    self._lose("the other side closed the connection")
                case DtlsData():
                    pass
                case _ as other:
                    assert_never(other)

    def _lose(self, reason: str) -> None:
        """The first reason is the one to tell."""
        if not self._is_lost:
            self._is_lost = True
            self._effects.append(ClientLost(reason))
