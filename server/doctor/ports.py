"""Ports and addresses: whether they are free, or held by the server that runs, and whom they reach."""

import ipaddress
import os
import socket
from typing import Final

from server.addresses import machine_addresses, media_addresses
from server.config import Config
from server.doctor.finding import Finding, Patient

_PRIVATE_ADVICE: Final = (
    "people on other networks need a public one: forward the ports of [media], and name it in media.announce"
)


def bound_addresses(config: Config) -> tuple[str, ...]:
    """Where media is received."""
    chosen = config.media.bind or media_addresses(machine_addresses(), with_loopback=config.is_loopback)
    return chosen or ("127.0.0.1",)


def worker_count(config: Config) -> int:
    """Native threads, each with a UDP port."""
    return config.media.workers or max(1, (os.cpu_count() or 2) - 1)


async def http(patient: Patient) -> Finding:
    """The HTTP port."""
    server = patient.config.server
    place = f"{server.host}:{server.port}"
    if patient.url:
        return Finding("good", "HTTP port", f"a Parley serves {patient.url}")
    if reason := _refusal(server.host, server.port, socket.SOCK_STREAM):
        return Finding("bad", "HTTP port", f"TCP {place}: {reason}", _mend(reason, "--port", "--host"))
    return Finding("good", "HTTP port", f"TCP {place} is free")


async def media_udp(patient: Patient) -> Finding:
    """One UDP port for each worker, on every media address."""
    media = patient.config.media
    last = media.port + worker_count(patient.config) - 1
    span = f"UDP {media.port}" if last == media.port else f"UDP {media.port} to {last}"
    if patient.url:
        return Finding("good", "media ports", f"{span}, held by the server that runs")
    for address in bound_addresses(patient.config):
        for port in range(media.port, last + 1) if media.port else ():
            if reason := _refusal(address, port, socket.SOCK_DGRAM):
                found = f"UDP {address}:{port}: {reason}"
                return Finding("bad", "media ports", found, _mend(reason, "--media-port", "media.bind"))
    return Finding("good", "media ports", f"{span if media.port else 'any UDP port'} is free")


async def media_tcp(patient: Patient) -> Finding:
    """The port of ICE-TCP."""
    port = patient.config.media.tcp_port
    if not port:
        return Finding("note", "ICE-TCP port", "off", "set media.tcp_port: some networks let no UDP through")
    if patient.url:
        return Finding("good", "ICE-TCP port", f"TCP {port}, of the server that runs")
    for address in bound_addresses(patient.config):
        if reason := _refusal(address, port, socket.SOCK_STREAM):
            advice = _mend(reason, "media.tcp_port", "media.bind")
            return Finding("bad", "ICE-TCP port", f"TCP {address}:{port}: {reason}", advice)
    return Finding("good", "ICE-TCP port", f"TCP {port} is free")


async def addresses(patient: Patient) -> Finding:
    """What clients are told, and who can use it."""
    config = patient.config
    bound, announced = bound_addresses(config), config.media.announce
    if len(announced) > len(bound):
        found = f"{len(announced)} announced, {len(bound)} bound: {', '.join(bound)}"
        return Finding(
            "bad", "addresses", found, "media.announce pairs with media.bind in order: name as many of each"
        )
    told = announced or bound
    kinds = [ipaddress.ip_address(address) for address in told]
    found = ", ".join(told) + (f" for {', '.join(bound[: len(told)])}" if announced else "")
    if all(address.is_loopback for address in kinds):
        advice = "only this machine can connect, and Firefox may not: serve another address with --host"
        return Finding("note", "addresses", found, advice)
    if not config.is_loopback and all(address.is_private or address.is_link_local for address in kinds):
        return Finding("note", "addresses", f"{found}: private", _PRIVATE_ADVICE)
    return Finding("good", "addresses", found)


def _refusal(host: str, port: int, kind: socket.SocketKind) -> str:
    """Why a port cannot be bound; empty when it can."""
    try:
        family, _, _, _, name = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        return error.strerror or str(error)
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(name)
            if kind is socket.SOCK_STREAM:
                probe.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _mend(reason: str, port_option: str, address_option: str) -> str:
    if "in use" in reason:
        return f"another program has it (ss -lntup names it): stop that, or choose {port_option}"
    if "ermission" in reason:
        return f"ports below 1024 are root's: choose {port_option}, or give CAP_NET_BIND_SERVICE"
    return f"this machine has no such address: choose {address_option}"
