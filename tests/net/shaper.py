"""One direction of a bad network: a bottleneck with a drop-tail queue, delay, loss, a firewall.

PURE: packets and seconds in, packets out. Random numbers come from a seed, so that a run can be repeated.
"""

import ipaddress
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

_PROTOCOLS = {6: "tcp", 17: "udp"}
_IPV6_HEADER = 40
_OFTEN = 100_000


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a direction behaves.

    `blocked` holds "udp", "tcp", or one port of it, to or from: "udp:7882"; "ip4", "ip6", or an address.
    """

    bps: float | None = None
    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    queue_s: float = 0.3
    is_down: bool = False
    blocked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Report:
    """What happened since the last report; `queued_s` has one value for each packet that passed."""

    packets: int
    packet_bytes: int
    lost: int
    overflowed: int
    blocked: int
    queued_s: tuple[float, ...]


@dataclass(slots=True)
class Shaper:
    """One direction. `receive` a packet, `poll` those that arrive by now, sleep until `deadline`."""

    conditions: Conditions = Conditions()
    seed: int = 1
    _random: random.Random = field(init=False)
    _waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    _free_at: float = 0.0
    _last_arrival: float = 0.0
    _report: Report = field(default_factory=lambda: Report(0, 0, 0, 0, 0, ()))
    _queued: deque[float] = field(default_factory=lambda: deque(maxlen=_OFTEN))

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def receive(self, packet: bytes, now: float) -> None:
        """Take an IP packet."""
        now_is = self.conditions
        if now_is.is_down or is_blocked(packet, now_is.blocked):
            self._report = replace(self._report, blocked=self._report.blocked + 1)
            return
        if self._random.random() < now_is.loss:
            self._report = replace(self._report, lost=self._report.lost + 1)
            return
        queued = max(0.0, self._free_at - now)
        if now_is.bps is not None:
            if queued > now_is.queue_s:
                self._report = replace(self._report, overflowed=self._report.overflowed + 1)
                return
            self._free_at = max(self._free_at, now) + len(packet) * 8 / now_is.bps
        else:
            self._free_at = now
        self._queued.append(queued)
        self._report = replace(
            self._report,
            packets=self._report.packets + 1,
            packet_bytes=self._report.packet_bytes + len(packet),
        )
        arrival = self._free_at + now_is.delay_s + self._random.uniform(0.0, now_is.jitter_s)
        self._last_arrival = max(self._last_arrival, arrival)  # order holds
        self._waiting.append((self._last_arrival, packet))

    def poll(self, now: float) -> Iterator[bytes]:
        """Packets that have arrived."""
        while self._waiting and self._waiting[0][0] <= now:
            yield self._waiting.popleft()[1]

    def deadline(self) -> float | None:
        """When the next packet arrives; None when none is under way."""
        return self._waiting[0][0] if self._waiting else None

    def report(self) -> Report:
        """What happened since the last call."""
        report = replace(self._report, queued_s=tuple(self._queued))
        self._report = Report(0, 0, 0, 0, 0, ())
        self._queued.clear()
        return report


def is_blocked(packet: bytes, blocked: frozenset[str]) -> bool:
    """Whether a firewall with these rules drops an IP packet (no IPv6 extension headers, no fragments)."""
    if not blocked or len(packet) < 20:
        return False
    is_v4 = packet[0] >> 4 == 4
    if ("ip4" if is_v4 else "ip6") in blocked:
        return True
    source, size = (12, 4) if is_v4 else (8, 16)
    addresses = (packet[source : source + size], packet[source + size : source + 2 * size])
    if any(str(ipaddress.ip_address(address)) in blocked for address in addresses):
        return True
    protocol, transport = (packet[9], (packet[0] & 15) * 4) if is_v4 else (packet[6], _IPV6_HEADER)
    name = _PROTOCOLS.get(protocol)
    if name is None or len(packet) < transport + 4:
        return False
    ports = (int.from_bytes(packet[at : at + 2], "big") for at in (transport, transport + 2))
    return name in blocked or any(f"{name}:{port}" in blocked for port in ports)
