"""A real `parley serve` under load: its own process, its own folder, nothing of it changed but its limits."""

import json
import secrets
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from bench import plan, target
from bench.caller import Caller
from bench.node import Node
from bench.quantiles import Histogram
from policy import LIVE, RECORD, REPLAY, Permission
from sfu.transport import DtlsIdentity
from signaling import ApiKey, VouchedTerms, mint

_STARTS_WITHIN_S: Final = 30.0
_TOKEN_S: Final = 24 * 3600 - 60
_LAG: Final = "parley_event_loop_lag_seconds"
_MEDIA: Final = "parley_media{"
_LIMITS: Final = {
    "PARLEY_LIMITS_JOINS_PER_S": "10000",
    "PARLEY_LIMITS_JOINS_BURST": "100000",
    "PARLEY_LIMITS_REQUESTS_PER_S": "100000",
    "PARLEY_LIMITS_REQUESTS_BURST": "100000",
    "PARLEY_LIMITS_CONNECTIONS": "100000",
    "PARLEY_ROOMS_MAX_PARTICIPANTS": "10000",
    "PARLEY_ROOMS_LOUDEST": "0",
}
"""One address may do what a town of people would."""


class Served:
    """A `Target`. Made by `start`."""

    name = "parley"
    peers_ip = "127.0.0.1"
    worker_thread = "sfu-worker"

    def __init__(
        self,
        daemon: target.Daemon,
        http: aiohttp.ClientSession,
        url: str,
        key: ApiKey,
        identity: DtlsIdentity,
    ) -> None:
        self.url = url
        self._daemon = daemon
        self._http = http
        self._key = key
        self._identity = identity
        self._people = 0
        self._away: deque[str] = deque()
        """People who were here and may come again, the longest gone first."""
        self._terms = ""

    @classmethod
    async def start(
        cls, *, profile: str = "", workers: int = 1, environment: Mapping[str, str] | None = None
    ) -> Self:
        """Start it on loopback and wait until it takes joins.

        `profile`: the SRTP profile that the load offers; empty: all. `environment`: more configuration.

        Raises:
            TargetFailed: it does not come up; the text holds its log.
        """
        key = ApiKey("bench", secrets.token_urlsafe(48))
        port, media_port = target.free_port(), target.free_port(socket.SOCK_DGRAM)
        daemon = await target.Daemon.start(
            lambda folder: (
                *(sys.executable, "-c", "from server.cli import main; main()", "serve"),
                *("--port", str(port), "--media-port", str(media_port)),
                *("--media-bind", "127.0.0.1", "--data-dir", str(folder), "--log-level", "warning"),
            ),
            {
                **_LIMITS,
                "PARLEY_KEYS": f"{key.id}:{key.secret}",
                "PARLEY_MEDIA_WORKERS": str(workers),
                "PARLEY_MEDIA_TCP_PORT": "0",
                **(environment or {}),
            },
        )
        http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        identity = DtlsIdentity.generate([profile] if profile in plan.PROFILES else None)
        made = cls(daemon, http, f"http://127.0.0.1:{port}", key, identity)
        try:
            made._terms = await daemon.come_up(made._find_terms, _STARTS_WITHIN_S)
        except BaseException:
            await made.stop()
            raise
        return made

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._daemon.pid

    @property
    def folder(self) -> Path:
        """The server's data."""
        return self._daemon.folder

    async def seat(self, node: Node, room: str, *, publishes: bool, watches: bool) -> Caller:
        """Bring one person in.

        Raises:
            CallRefused, LineLost: with the server's reason.
        """
        if self._away:
            identity = self._away.popleft()
        else:
            self._people += 1
            identity = f"person-{self._people}"
        permissions = {Permission.JOIN}
        permissions |= {Permission.PUBLISH} if publishes else set()
        permissions |= {Permission.SUBSCRIBE} if watches else set()
        token = mint(
            self._key,
            identity=identity,
            room=room,
            permissions=permissions,
            now=time.time(),
            ttl_s=_TOKEN_S,
            # Who only watches owes nothing to the ledger.
            terms=VouchedTerms(self._terms, frozenset({LIVE, RECORD, REPLAY})) if publishes else None,
        )
        return await Caller.enter(
            node,
            self._identity,
            self._http,
            self.url,
            token,
            publishes=publishes,
            left=lambda: self._away.append(identity),
        )

    async def account(self) -> target.Account:
        """See `Target`."""
        text = await self.metrics()
        return target.Account(media_counters(text), Histogram.parse(text, _LAG))

    async def metrics(self) -> str:
        """What `/metrics` says now."""
        async with self._http.get(f"{self.url}/metrics") as response:
            return await response.text()

    async def api(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """One REST call with the API key: the parsed answer.

        Raises:
            RuntimeError: the server refused; the text holds its answer.
        """
        data = await self._request(method, path, body)
        return json.loads(data) if data else None

    async def download(self, path: str) -> bytes:
        """What a REST path holds, with the API key.

        Raises:
            RuntimeError: the server refused; the text holds its answer.
        """
        return await self._request("GET", path, None)

    async def kill(self) -> None:
        """SIGKILL; returns when the server is dead."""
        await self._daemon.kill()

    async def again(self) -> None:
        """Start the server once more on what it left.

        Raises:
            TargetFailed: it does not come up; the text holds its log.
        """
        await self._daemon.again()
        await self._daemon.come_up(self._find_terms, _STARTS_WITHIN_S)

    async def stop(self) -> None:
        """End the server and remove its folder."""
        await self._http.close()
        await self._daemon.stop()

    async def _request(self, method: str, path: str, body: Mapping[str, object] | None) -> bytes:
        headers = {"Authorization": aiohttp.encode_basic_auth(self._key.id, self._key.secret)}
        url = f"{self.url}/api/v1{path}"
        async with self._http.request(method, url, json=body, headers=headers) as response:
            data = await response.read()
            if response.status >= 400:
                raise RuntimeError(f"{method} {path}: {response.status} {data.decode(errors='replace')}")
            return data

    async def _find_terms(self) -> str | None:
        """The version of the terms, once the server tells it."""
        try:
            async with self._http.get(f"{self.url}/api/v1/terms") as response:
                return str((await response.json())["version"]) if response.status == 200 else None
        except aiohttp.ClientError:
            return None


def media_counters(metrics: str) -> dict[str, float]:
    """The media plane's counters out of a `/metrics` text. PURE."""
    found: dict[str, float] = {}
    for line in metrics.splitlines():
        if not line.startswith(_MEDIA):
            continue
        _, part, _, name, value = line.split('"')
        found[f"{part}.{name}"] = amount = float(value.partition("} ")[2])
        if part.startswith("worker"):
            found[name] = found.get(name, 0.0) + amount
    return found
