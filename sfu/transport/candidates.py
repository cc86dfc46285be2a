"""Addresses as ICE sees them: our candidate lines, a peer's, credentials, and one spelling for each IP. PURE.

Source: RFC 8445 section 5.1 (candidates, priorities), RFC 8839 section 5.1 (syntax), RFC 8421 (dual stack),
RFC 6544 (TCP).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from sfu.errors import SdpError
from sfu.sdp.grammar import parse_uint

__all__ = ["RemoteCandidate", "credentials", "host_candidates", "normalise_ip", "parse_candidate"]

_HOST_PREFERENCE: Final = 126
_TCP_HOST_PREFERENCE: Final = 90
_TCP_PASSIVE_PREFERENCE: Final = 4
_ICE_CHARS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
UFRAG_CHARS: Final = 12
PWD_CHARS: Final = 24


@dataclass(frozen=True, slots=True)
class RemoteCandidate:
    """A peer's candidate that a client of ours could check.

    Attributes:
        protocol: udp or tcp.
        ip: normalised; "" for a name (mDNS).
    """

    protocol: str
    priority: int
    ip: str
    port: int


def credentials(rng: Random) -> tuple[str, str]:
    """A fresh (ufrag, pwd): 72 and 144 bits of `rng`, which is `secrets.SystemRandom()` in production."""
    draw = rng.choice
    ufrag = "".join(draw(_ICE_CHARS) for _ in range(UFRAG_CHARS))
    return ufrag, "".join(draw(_ICE_CHARS) for _ in range(PWD_CHARS))


def normalise_ip(text: str) -> str:
    """The one spelling of an address: IPv4-mapped IPv6 becomes IPv4, a zone is dropped, IPv6 is compressed.

    Raises:
        ValueError: it is no IP address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def host_candidates(
    addresses: Sequence[tuple[str, int]], tcp: Sequence[tuple[str, int]] = ()
) -> tuple[str, ...]:
    """The values of `a=candidate:` for our media addresses, the preferred one first; TCP is a last resort.

    Every address gets a foundation and a priority of its own; the order given is the order of preference.
    TCP candidates are passive: the peer connects (RFC 6544 section 4.5).

    Raises:
        ValueError: an address is not an IP address, is a wildcard, or the port is not in 1..65535.
    """
    lines = []
    for place, (ip, port) in enumerate(addresses):
        # RFC 8445 section 5.1.2.1, component 1.
        priority = (_HOST_PREFERENCE << 24) + ((65_535 - place) << 8) + 255
        lines.append(f"{place + 1} 1 udp {priority} {_literal(ip, port)} {port} typ host")
    for place, (ip, port) in enumerate(tcp):
        # RFC 6544 section 4.2: below every UDP type; the local preference holds the direction.
        local = (_TCP_PASSIVE_PREFERENCE << 13) + 8_191 - place
        priority = (_TCP_HOST_PREFERENCE << 24) + (local << 8) + 255
        foundation = len(addresses) + place + 1
        lines.append(f"{foundation} 1 tcp {priority} {_literal(ip, port)} {port} typ host tcptype passive")
    return tuple(lines)


def _literal(ip: str, port: int) -> str:
    literal = normalise_ip(ip)
    if ipaddress.ip_address(literal).is_unspecified or not 0 < port < 65_536:
        raise ValueError(f"{ip} port {port} cannot be a candidate")
    return literal


def parse_candidate(value: str) -> RemoteCandidate:
    """Read the value of an `a=candidate:` line.

    Raises:
        SdpError: it is malformed.
    """
    words = value.removeprefix("candidate:").split(" ")
    if len(words) < 8 or words[6] != "typ" or words[2].lower() not in {"udp", "tcp"}:
        raise SdpError("a candidate needs foundation, component, transport, priority, address, port and type")
    priority, port = parse_uint(words[3], (1 << 32) - 1), parse_uint(words[5], 65_535)
    if priority is None or port is None:
        raise SdpError("a candidate's priority or port is no number")
    try:
        ip = normalise_ip(words[4])
    except ValueError:
        ip = ""
    return RemoteCandidate(words[2].lower(), priority, ip, port)
