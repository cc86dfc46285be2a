"""Which destination addresses may be connected to.

A destination's host is resolved here, every address is judged, and outputs connect to a judged address only:
resolving again later would let a name change its mind between check and use.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

RESOLVE_TIMEOUT_S: Final = 5.0
DEFAULT_PORTS: Final[dict[str, int | None]] = {"rtmp": 1935, "rtmps": 443, "srt": None, "https": 443}
"""The schemes that are allowed, with the port of a URL that names none; SRT has no port of its own."""
_REFUSED_PORTS: Final = frozenset(
    {22, 23, 25, 53, 110, 139, 143, 445, 465, 587, 993, 995, 2375, 3306, 5432, 6379, 11211}
)

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""Addresses that a gateway turns into IPv4 (RFC 6052)."""


class DestinationRefused(Exception):
    """A destination's URL or address is not allowed; the message says which part, and holds no stream key."""

    code = "destination_refused"


class HostUnresolved(DestinationRefused):
    """The host's name gives no address at the moment; it may later."""

    code = "destination_unresolved"


@dataclass(frozen=True, slots=True)
class Approved:
    """One judged address of a destination's host."""

    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """What an operator allows; the defaults refuse everything that is not a public address."""

    allow_private: bool = False
    """Loopback, private and link-local targets too, and plain HTTP: for partners on the operator's own
    network.
    """

    def check_url(self, url: str) -> tuple[str, int]:
        """Judges what the URL itself says.

        Returns: host and port.

        Raises:
            DestinationRefused: a scheme, port or form that is not allowed.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise DestinationRefused("the URL cannot be read: its host or port is malformed") from error
        ports = DEFAULT_PORTS | ({"http": 80} if self.allow_private else {})
        if parts.scheme not in ports:
            raise DestinationRefused(f"the scheme {parts.scheme!r} is not allowed: use {', '.join(ports)}")
        if not parts.hostname:
            raise DestinationRefused("the URL names no host")
        if parts.username is not None or parts.password is not None:
            raise DestinationRefused("a user name in the URL is not allowed: put the key into the path")
        if any(ord(character) <= 0x20 or ord(character) == 0x7F for character in url):
            raise DestinationRefused("the URL holds spaces or control characters")
        port = ports[parts.scheme] if port is None else port
        if port is None:
            raise DestinationRefused(f"a URL of scheme {parts.scheme} needs a port")
        if port in _REFUSED_PORTS or port == 0:
            raise DestinationRefused(f"port {port} belongs to another service")
        return parts.hostname, port

    def check_address(self, text: str) -> None:
        """Judges one resolved address.

        Raises:
            DestinationRefused: an address that is not public, while only public ones are allowed.
        """
        address = ipaddress.ip_address(text.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address):
            inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
            if address in _NAT64:
                inner = ipaddress.IPv4Address(address.packed[-4:])
            if inner is not None:
                address = inner
        if address.is_multicast or address.is_unspecified or address.is_reserved:
            raise DestinationRefused(f"{address} cannot be a destination")
        if not self.allow_private and not address.is_global:
            raise DestinationRefused(f"{address} is not a public address")

    async def resolve(self, url: str) -> tuple[Approved, ...]:
        """Resolves the URL's host and judges every address; one bad address refuses them all.

        Raises:
            DestinationRefused: as above, or the name does not resolve in time.
        """
        host, port = self.check_url(url)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise HostUnresolved(f"the host {host!r} does not resolve") from error
        addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            self.check_address(address)
        if not addresses:
            raise HostUnresolved(f"the host {host!r} has no address")
        return tuple(Approved(address, port) for address in addresses)
