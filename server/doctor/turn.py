"""TURN and STUN servers that joiners are given: whether they answer, relay, and reach the media addresses."""

import asyncio
import ipaddress
import os
import ssl
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from aioice import stun, turn

from server.config import Config
from server.doctor.finding import Finding, Patient
from server.doctor.ports import bound_addresses
from signaling import IceServers

_PATIENCE_S: Final = 4.0
_PORTS: Final = {"stun": 3478, "turn": 3478, "turns": 5349}
_FIRST_CHANNEL: Final = 0x4000
_UNAUTHORIZED: Final = 401
_STALE: Final = 438
_FORBIDDEN: Final = 403
_WHAT: Final = "ICE servers"


@dataclass(frozen=True, slots=True)
class IceUrl:
    """A server's URL in its parts. Source: RFC 7064, RFC 7065."""

    scheme: str
    host: str
    port: int
    transport: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.host}:{self.port} by {self.transport.upper()}"


class _Refused(Exception):
    """The server does not do what it is there for: what was found, and how to mend it."""

    def __init__(self, found: str, advice: str) -> None:
        super().__init__(found)
        self.found = found
        self.advice = advice


async def relays(patient: Patient) -> Finding:
    """Allocate a relay by every URL, with credentials as a joiner gets them."""
    section = patient.config.ice
    if not section.urls:
        advice = "networks that let only TLS through need one: docs/deployment.md"
        return Finding("note", _WHAT, "no TURN server", advice)
    worked = []
    for text in section.urls:
        try:
            worked.append(await _try(text, patient.config))
        except _Refused as error:
            return Finding("bad", _WHAT, f"{text}: {error.found}", error.advice)
    return Finding("good", _WHAT, "; ".join(worked))


def parse_url(text: str) -> IceUrl:
    """Read an ICE server's URL.

    Raises:
        ValueError: it is none.
    """
    scheme, _, rest = text.partition(":")
    place, _, query = rest.partition("?")
    host, port = place, ""
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        port = port.removeprefix(":")
    elif ":" in place:
        host, _, port = place.rpartition(":")
    transport = parse_qs(query).get("transport", ["tcp" if scheme == "turns" else "udp"])[0]
    if scheme not in _PORTS or not host or transport not in {"udp", "tcp"} or not (port or "1").isdigit():
        raise ValueError(f"{text!r} is not like turn:turn.example:3478?transport=udp")
    return IceUrl(scheme, host, int(port or _PORTS[scheme]), transport)


async def _try(text: str, config: Config) -> str:
    try:
        url = parse_url(text)
    except ValueError as error:
        raise _Refused(str(error), "mend ice.urls") from error
    started = time.monotonic()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await (_bind(url) if url.scheme == "stun" else _allocate(url, config))
    except (TimeoutError, stun.TransactionTimeout) as error:
        advice = f"open {url.transport.upper()} {url.port} in its firewall, or start it"
        raise _Refused("no answer", advice) from error
    except stun.TransactionFailed as error:
        raise _Refused(*_explain(error)) from error
    except ssl.SSLCertVerificationError as error:
        advice = "browsers refuse it too: give it a certificate of its name from a known authority"
        raise _Refused(f"its certificate is not trusted: {error.verify_message}", advice) from error
    except OSError as error:
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or str(error)
        raise _Refused(reason, "mend its name in ice.urls, or start it") from error
    return f"{url} in {(time.monotonic() - started) * 1000:.0f} ms"


def _explain(error: stun.TransactionFailed) -> tuple[str, str]:
    code, reason = error.response.attributes.get("ERROR-CODE", (0, "an error without a code"))
    if code in {_UNAUTHORIZED, _STALE}:
        return (
            f"it refuses the credentials ({code} {reason})",
            "ice.secret must equal its static-auth-secret, and the clocks agree; or mend ice.username",
        )
    return f"it refuses ({code} {reason})", "look into its log"


async def _allocate(url: IceUrl, config: Config) -> None:
    """A relay, and its way to every media address of its family."""
    section = config.ice
    servers = IceServers(
        section.urls, section.username, section.credential, section.secret.encode(), section.ttl_s
    )
    login = servers.given_to("doctor", time.time())[0]
    protocol = await _connect(url, str(login.get("username", "")), str(login.get("credential", "")))
    try:
        relayed, _port = await protocol.connect()
        version = ipaddress.ip_address(relayed).version
        for number, told in enumerate(config.media.announce or bound_addresses(config)):
            if ipaddress.ip_address(told).version == version:
                await _reach(protocol, _FIRST_CHANNEL + number, told, config.media.port)
        await protocol.delete()
    finally:
        protocol.transport.close()
        if protocol.refresh_task is not None:
            protocol.refresh_task.cancel()


async def _connect(url: IceUrl, username: str, password: str) -> turn.TurnClientProtocol:
    """The socket to the server, before anything is asked of it."""
    loop = asyncio.get_running_loop()
    family, _, _, _, found = (await loop.getaddrinfo(url.host, url.port))[0]
    address = (str(found[0]), url.port)
    lifetime, refresh_s = turn.DEFAULT_ALLOCATION_LIFETIME, turn.DEFAULT_CHANNEL_REFRESH_TIME
    if url.transport == "udp":
        _, udp = await loop.create_datagram_endpoint(
            lambda: turn.TurnClientUdpProtocol(address, username, password, lifetime, refresh_s),
            remote_addr=address,
            family=family,
        )
        return udp
    _, tcp = await loop.create_connection(
        lambda: turn.TurnClientTcpProtocol(address, username, password, lifetime, refresh_s),
        url.host,
        url.port,
        ssl=ssl.create_default_context() if url.scheme == "turns" else None,
    )
    return tcp


async def _reach(protocol: turn.TurnClientProtocol, channel: int, ip: str, port: int) -> None:
    try:
        await protocol.channel_bind(channel, (ip, port or 1))
    except stun.TransactionFailed as error:
        if error.response.attributes.get("ERROR-CODE", (0, ""))[0] != _FORBIDDEN:
            raise
        found = f"it does not relay to {ip}, where media is received"
        raise _Refused(found, f"allowed-peer-ip={ip} in its turnserver.conf") from error


async def _bind(url: IceUrl) -> None:
    """One Binding request."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[None] = loop.create_future()
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)

    class Waits(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _addr: object) -> None:
            if data[8:20] == request.transaction_id and not answered.done():
                answered.set_result(None)

    transport, _ = await loop.create_datagram_endpoint(Waits, remote_addr=(url.host, url.port))
    try:
        while not answered.done():
            transport.sendto(bytes(request))
            await asyncio.wait([answered], timeout=0.5)
    finally:
        transport.close()
