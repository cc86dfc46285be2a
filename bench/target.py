"""What a run of the bench is aimed at: a server process, and the seats that people take in its rooms."""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from bench.line import Line
from bench.node import Node
from bench.quantiles import Histogram

_STOPS_WITHIN_S: Final = 15.0
_PR_SET_PDEATHSIG: Final = 1


class Seat(Protocol):
    """One person in a room."""

    joined_ns: int
    """When the join call was sent, on the monotonic clock."""

    @property
    def watching(self) -> Line | None:
        """What receives; None for somebody who only publishes."""
        ...

    @property
    def publishing(self) -> Line | None:
        """What sends."""
        ...

    async def watch_others(self, count: int) -> None:
        """Receive so many of the room's other publishers; returns when that is negotiated and connected."""
        ...

    async def leave(self) -> None:
        """Go. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Account:
    """What a server says of itself; empty for one that says nothing.

    Attributes:
        counters: sums of its media threads' counters, and each thread's as `worker0.name`.
        lag: how late its event loop came to what was due, in seconds, since the start.
    """

    counters: Mapping[str, float]
    lag: Histogram


class Target(Protocol):
    """A server under load."""

    name: str
    peers_ip: str
    """Where peers must come from to be heard; empty: any address of this machine."""
    worker_thread: str
    """How the names of the threads that carry media begin, for pinning."""

    @property
    def pid(self) -> int:
        """The server's process."""
        ...

    async def seat(self, node: Node, room: str, *, publishes: bool, watches: bool) -> Seat:
        """Bring one person in, publishing if they do; what they watch follows with `watch_others`."""
        ...

    async def account(self) -> "Account":
        """What the server itself counts; it costs the server some milliseconds to tell."""
        ...

    async def stop(self) -> None:
        """End the process."""
        ...


class TargetFailed(Exception):
    """The server under load did not start, or ended; says what it wrote last."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody used a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def spawn(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> asyncio.subprocess.Process:
    """Start a server that dies with us, its words going to `log`.

    Raises:
        TargetFailed: there is no such command.
    """
    with log.open("wb") as output:
        try:
            return await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, **environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_parent,
            )
        except FileNotFoundError as error:
            raise TargetFailed(f"{command[0]} is not installed") from error


async def end(process: asyncio.subprocess.Process, number: signal.Signals = signal.SIGINT) -> None:
    """Ask a server to stop, and make it."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
    try:
        async with asyncio.timeout(_STOPS_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def tail(log: Path) -> str:
    """The last words of a server."""
    return log.read_text(errors="replace")[-3000:]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
