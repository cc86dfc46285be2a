"""Debian's coturn with the configuration that docs/deployment.md gives, on addresses and ports of a test."""

import asyncio
import contextlib
import re
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

_GUIDE = Path(__file__).parents[2] / "docs" / "deployment.md"
_STARTS_WITHIN_S = 10


class TurnMissingError(Exception):
    """The TURN tests need coturn; a failure, never a skip."""


@dataclass(frozen=True, slots=True)
class TurnServer:
    """A running coturn."""

    ip: str
    port: int
    tls_port: int
    secret: str


def documented(**values: str) -> str:
    """The guide's `turnserver.conf` with other values; every name must be in it."""
    text = _GUIDE.read_text().partition("```ini\n# /etc/turnserver.conf\n")[2].partition("```")[0]
    for name, value in values.items():
        option = name.replace("_", "-")
        text, count = re.subn(rf"^{option}=.*$", f"{option}={value}", text, flags=re.MULTILINE)
        if count != 1:
            raise AssertionError(f"the guide's turnserver.conf has {option} {count} times")
    return text


def _two_ports(ip: str) -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        for probe in (one, two):
            probe.bind((ip, 0))
        return one.getsockname()[1], two.getsockname()[1]


@contextlib.asynccontextmanager
async def turn_server(
    folder: Path, ip: str, *, media_ip: str, certificate: tuple[Path, Path], secret: str
) -> AsyncIterator[TurnServer]:
    """Run coturn on `ip`, its files in `folder`; it relays to `media_ip` and to nobody else.

    `certificate`: chain and key.

    Raises:
        TurnMissingError: coturn is not installed.
        AssertionError: it does not start; the text holds what it said.
    """
    executable = shutil.which("turnserver")
    if executable is None:
        raise TurnMissingError("coturn is needed by the TURN tests: apt-get install coturn")
    port, tls_port = _two_ports(ip)
    text = documented(
        listening_ip=ip,
        relay_ip=ip,
        listening_port=str(port),
        tls_listening_port=str(tls_port),
        cert=str(certificate[0]),
        pkey=str(certificate[1]),
        static_auth_secret=secret,
        allowed_peer_ip=media_ip,
    )
    config, log = folder / "turnserver.conf", folder / "turnserver.log"
    config.write_text(text)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(executable, "-c", str(config), "--log-file", "stdout", "--simple-log"),
            *("--pidfile", str(folder / "turnserver.pid"), "--userdb", str(folder / "turndb")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        async with asyncio.timeout(_STARTS_WITHIN_S):
            while not await _answers(ip, port):
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.05)
        yield TurnServer(ip, port, tls_port, secret)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _answers(ip: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(ip, port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
