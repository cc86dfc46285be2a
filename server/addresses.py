"""The addresses of this machine on which media is received."""

import ipaddress
from collections.abc import Iterable

import ifaddr


def machine_addresses() -> list[str]:
    """Every IP address of this machine, without scope ids."""
    held = [item.ip for adapter in ifaddr.get_adapters() for item in adapter.ips]
    return [address if isinstance(address, str) else address[0] for address in held]


def media_addresses(available: Iterable[str], *, with_loopback: bool) -> tuple[str, ...]:
    """The addresses to bind, in a stable order: IPv4 first; loopback only when asked, and then before others.

    It is asked for when pages are served on this machine alone: no network that goes away takes it along.
    IPv6 link-local addresses are left out: a browser on another machine cannot know their scope.
    """
    chosen: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    for text in available:
        address = ipaddress.ip_address(text.partition("%")[0])
        if address.is_multicast or address.is_unspecified:
            continue
        if address.is_loopback and (not with_loopback or address.version == 6):
            continue
        if address.version == 6 and address.is_link_local:
            continue
        if address not in chosen:
            chosen.append(address)
    chosen.sort(
        key=lambda address: (address.version, not address.is_loopback, address.is_link_local, int(address))
    )
    return tuple(str(address) for address in chosen)
