"""A real `parley serve` process for browser tests, and tokens for it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import jwt

from tests.support.forks import Forked

_STARTS_WITHIN_S = 30
_STOPS_WITHIN_S = 15
_EVERYTHING = ("join", "publish", "subscribe", "chat")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody used a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Parley:
    """A running server."""

    url: str
    data_dir: Path
    process: Forked
    log: Path

    def token(
        self,
        room: str,
        identity: str,
        *,
        grants: Sequence[str] = _EVERYTHING,
        name: str | None = None,
        ttl_s: int = 3600,
        **claims: object,
    ) -> str:
        """A join token, made with the development key as an embedder's own server would."""
        key = json.loads((self.data_dir / "dev-key.json").read_text())
        now = int(time.time())
        payload = {"sub": identity, "room": room, "grants": list(grants), "nbf": now, "exp": now + ttl_s}
        if name is not None:
            payload["name"] = name
        return jwt.encode(payload | claims, key["secret"], algorithm=key["alg"], headers={"kid": key["id"]})

    def link(self, room: str, identity: str, **options: object) -> str:
        """The address that opens the room's page with a token."""
        return f"{self.url}/r/{room}#token={self.token(room, identity, **options)}"  # type: ignore[arg-type]

    async def api(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One REST call with the API key: status and parsed body."""
        key = json.loads((self.data_dir / "dev-key.json").read_text())
        basic = aiohttp.encode_basic_auth(key["id"], key["secret"])
        async with (
            aiohttp.ClientSession(headers={"Authorization": basic}) as http,
            http.request(method, f"{self.url}/api/v1{path}", json=body) as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if text else None


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


def _log_file(data_dir: Path) -> Path:
    data_dir.mkdir(parents=True, exist_ok=True)
    return data_dir / "server.log"


async def _ready(url: str, process: Forked, log: Path) -> None:
    async with aiohttp.ClientSession() as http:
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(f"{url}/readyz") as response:
                    if response.status == 200:
                        return
            ended = process.returncode is not None
            if ended or time.monotonic() > deadline:
                state = f"ended with {process.returncode}" if ended else "is not ready"
                raise AssertionError(f"parley serve {state}:\n{_tail(log)}")
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def serve(
    data_dir: Path,
    *,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    ports: tuple[int, int] | None = None,
) -> AsyncIterator[Parley]:
    """Run `parley serve` on loopback until the context ends; `ports` of HTTP and media, else free ones.

    Raises:
        AssertionError: it does not become ready; the text holds its log.
    """
    port, media_port = ports or (free_port(), free_port(socket.SOCK_DGRAM))
    log = _log_file(data_dir)
    with log.open("wb") as output:
        places = ("--port", str(port), "--media-port", str(media_port), "--data-dir", str(data_dir))
        process = Forked(("serve", *places, *arguments), {**os.environ, **(environment or {})}, output)
    url = f"http://127.0.0.1:{port}"
    try:
        await _ready(url, process, log)
        yield Parley(url, data_dir, process, log)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            try:
                async with asyncio.timeout(_STOPS_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
