"""A call of two callers through a server: one sends, the other must get it back."""

import asyncio
import contextlib
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from sfu.errors import SfuError
from sfu.probe.caller import Caller, CallerFailed
from sfu.sdp import parse
from sfu.transport.candidates import RemoteCandidate, parse_candidate
from sfu.transport.dtls import DtlsIdentity

Negotiate = Callable[[str], Awaitable[str]]
"""Takes an offer, gives the answer."""

_CONNECT_S: Final = 3.0
_PACKETS: Final = 10
_SPACING_S: Final = 0.01
_PATIENCE_S: Final = 2.0


class ProbeFailed(SfuError):
    """A call that did not come about, or carried nothing; the text says at which step."""

    code = "probe_failed"


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """One of a server's candidates."""

    kind: str
    """udp or tcp."""
    ip: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """How a call went."""

    connect_ms: float
    """From the first check to the keys, the slower of both callers."""
    way_ms: float
    """A packet's median way from the one caller to the other."""


def probe_targets(answer: str) -> tuple[ProbeTarget, ...]:
    """The candidates of an answer, the preferred one first."""
    lines = [parse_candidate(line) for line in parse(answer).media[0].candidates]
    lines.sort(key=lambda line: -line.priority)
    return tuple(dict.fromkeys(ProbeTarget(line.protocol, line.ip, line.port) for line in lines))


def probe_offer() -> str:
    """An offer whose answer shows the candidates."""
    return Caller(DtlsIdentity.generate(), "sendonly").offer()


async def probe_call(publish: Negotiate, view: Negotiate, target: ProbeTarget) -> ProbeReport:
    """Make a call over one of the candidates: publish, view, send, and get it back.

    Raises:
        ProbeFailed: it did not come about, or no packet came back.
    """
    identity = DtlsIdentity.generate()
    with (
        contextlib.closing(Caller(identity, "sendonly")) as sender,
        contextlib.closing(Caller(identity, "recvonly")) as receiver,
    ):
        sending_s = await _connect(sender, publish, target, "publishing")
        receiving_s = await _connect(receiver, view, target, "viewing")
        receiver.prove()
        sent: dict[bytes, float] = {}
        deadline = perf_counter() + _PATIENCE_S
        while len(receiver.received) < _PACKETS and perf_counter() < deadline:
            payload = b"\xf8" + len(sent).to_bytes(4, "big") + bytes(40)
            sent[payload] = perf_counter()
            sender.send(payload)
            await asyncio.sleep(_SPACING_S)
        ways = [came - sent[payload] for came, payload in receiver.received if payload in sent]
    if not ways:
        raise ProbeFailed(f"both sides connected, and none of {len(sent)} packets came back")
    return ProbeReport(max(sending_s, receiving_s) * 1000, statistics.median(ways) * 1000)


async def _connect(caller: Caller, negotiate: Negotiate, target: ProbeTarget, what: str) -> float:
    answer = await negotiate(caller.offer())
    # A room that is spread may put its peers on different workers, each with a port of its own.
    like = [other for other in probe_targets(answer) if (other.kind, other.ip) == (target.kind, target.ip)]
    if not like:
        raise ProbeFailed(f"{what}: the answer does not name {target}")
    started = perf_counter()
    try:
        await caller.connect(answer, RemoteCandidate(like[0].kind, 0, like[0].ip, like[0].port), _CONNECT_S)
    except CallerFailed as error:
        raise ProbeFailed(f"{what}: {error}") from error
    return perf_counter() - started
