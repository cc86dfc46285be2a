"""Real calls through the media plane: two callers of our own, one sends and the other gets it back.

Through the server that runs (WHIP and WHEP, in a room of its own), or through a plane made for it.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final, Protocol

import aiohttp

from policy import Permission
from server.config import Config
from server.devkey import load_or_create
from server.doctor.finding import Finding, Patient
from server.doctor.ports import bound_addresses, worker_count
from server.wiring import Server
from sfu import (
    EngineError,
    MediaPlane,
    PlaneProbe,
    ProbeFailed,
    ProbeReport,
    ProbeTarget,
    probe_call,
    probe_offer,
    probe_targets,
)
from signaling import ApiKey, mint

_TOKEN_S: Final = 300
_NO_HAIRPIN: Final = (
    "not bound here: fine when the NAT does not lead back in; else forward the port to the same number"
)


class Probe(Protocol):
    """Something through which calls go."""

    async def targets(self) -> tuple[ProbeTarget, ...]:
        """What it announces."""
        ...

    async def call(self, target: ProbeTarget) -> ProbeReport:
        """Make a call over one of them; raises ProbeFailed."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


async def by_udp(patient: Patient) -> Finding:
    """A call over every UDP address that clients are told."""
    return await _calls(patient, "udp")


async def by_tcp(patient: Patient) -> Finding:
    """A call over every ICE-TCP address that clients are told."""
    if not patient.config.media.tcp_port:
        return Finding("note", "call by ICE-TCP", "off")
    return await _calls(patient, "tcp")


async def _calls(patient: Patient, kind: str) -> Finding:
    what = "call by UDP" if kind == "udp" else "call by ICE-TCP"
    async with AsyncExitStack() as stack:
        if patient.url:
            key = _signing_key(patient.config)
            if key is None:
                return Finding(
                    "note", what, "not made", "no key of the configuration can sign a token for it"
                )
            probes: list[Probe] = [ServerProbe(patient.url, key)]
        else:
            try:
                plane = await MediaPlane.start(Server(patient.config).media_config())
            except (OSError, EngineError) as error:
                found = f"the media plane does not start: {error}"
                return Finding("bad", what, found, "mend its ports first")
            stack.push_async_callback(plane.close)
            # Rooms that are opened at once are spread: one for each worker.
            probes = [PlaneProbe(plane) for _ in range(worker_count(patient.config))]
        for probe in probes:
            stack.push_async_callback(probe.close)
        return await _judge(patient.config, what, kind, probes)


async def _judge(config: Config, what: str, kind: str, probes: Sequence[Probe]) -> Finding:
    worked: list[str] = []
    failed: list[str] = []
    unbound: list[str] = []
    bound = bound_addresses(config)
    for probe in probes:
        targets = [target for target in await probe.targets() if target.kind == kind]
        reports = await asyncio.gather(*(_try(probe, target) for target in targets))
        for target, report in zip(targets, reports, strict=True):
            if isinstance(report, ProbeReport):
                worked.append(f"{target} in {report.connect_ms:.0f} ms, {report.way_ms:.1f} ms through")
            else:
                (failed if target.ip in bound else unbound).append(f"{target}: {report}")
    if failed or not (worked or unbound):
        found = "; ".join(failed) or f"no {kind.upper()} candidate is announced"
        advice = "a firewall of this machine drops it, or the port was not bound: see the ports above"
        return Finding("bad", what, found, advice)
    if unbound:
        return Finding("note", what, "; ".join(unbound + worked), _NO_HAIRPIN)
    return Finding("good", what, "; ".join(worked))


async def _try(probe: Probe, target: ProbeTarget) -> ProbeReport | ProbeFailed:
    try:
        return await probe.call(target)
    except ProbeFailed as error:
        return error


def _signing_key(config: Config) -> ApiKey | None:
    for key in config.keys or (load_or_create(config.server.data_dir),):
        if key.is_shared:
            return key
    return None


class ServerProbe:
    """Calls through a server that runs, in a room of their own; an async context manager."""

    def __init__(self, url: str, key: ApiKey) -> None:
        self._url = url
        self._key = key
        self._room = f"doctor-{secrets.token_hex(6)}"
        # It is this machine's own, whatever its certificate is made out to.
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False))

    async def targets(self) -> tuple[ProbeTarget, ...]:
        """What the server's answers announce."""
        async with self._peers("targets") as negotiate:
            return probe_targets(await negotiate("whip", probe_offer()))

    async def call(self, target: ProbeTarget) -> ProbeReport:
        """Make a call over one of them.

        Raises:
            ProbeFailed: it did not come about, or no packet came back.
        """
        async with self._peers(secrets.token_hex(4)) as negotiate:
            return await probe_call(partial(negotiate, "whip"), partial(negotiate, "whep"), target)

    async def close(self) -> None:
        """Let go of the server."""
        await self._http.close()

    @asynccontextmanager
    async def _peers(self, name: str) -> AsyncIterator[Callable[[str, str], Awaitable[str]]]:
        """Peers of somebody of that name; they end with the context."""
        made: list[tuple[str, dict[str, str]]] = []

        async def negotiate(kind: str, offer: str) -> str:
            place = f"/whip/{self._room}" if kind == "whip" else f"/whep/{self._room}/{name}"
            login = self._login(kind, name)
            headers = {**login, "Content-Type": "application/sdp"}
            async with self._http.post(f"{self._url}{place}", data=offer.encode(), headers=headers) as answer:
                text = await answer.text()
                if answer.status != 201:
                    raise ProbeFailed(f"the server refuses {kind.upper()}: {answer.status} {text[:200]}")
                made.append((answer.headers["Location"], login))
                return text

        try:
            yield negotiate
        finally:
            for location, login in reversed(made):
                async with self._http.delete(f"{self._url}{location}", headers=login):
                    pass

    def _login(self, kind: str, name: str) -> dict[str, str]:
        permission = Permission.PUBLISH if kind == "whip" else Permission.SUBSCRIBE
        token = mint(
            self._key,
            identity=name,
            room=self._room,
            permissions={Permission.JOIN, permission},
            now=time.time(),
            ttl_s=_TOKEN_S,
        )
        return {"Authorization": f"Bearer {token}"}
