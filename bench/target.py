"""What a run of the bench is aimed at: a server process, and the seats that people take in its rooms."""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self, TypeVar

from bench.line import Line
from bench.node import Node
from bench.quantiles import Histogram
from bench.steps import JoinSteps

_STOPS_WITHIN_S: Final = 15.0
_ASKED_EVERY_S: Final = 0.1
_LAST_WORDS: Final = 3000
_PR_SET_PDEATHSIG: Final = 1
_Found = TypeVar("_Found")


class Seat(Protocol):
    """One person in a room."""

    steps: JoinSteps
    """How far the join has come; what a server's protocol does not have stays 0."""

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


class Daemon:
    """A server's process that dies with us, and a folder of its own with its log. Made by `start`."""

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        folder: "tempfile.TemporaryDirectory[str]",
        process: asyncio.subprocess.Process,
    ) -> None:
        self._words = words
        self._environment = environment
        self._folder = folder
        self._process = process

    @classmethod
    async def start(
        cls, command: Callable[[Path], Sequence[str]], environment: Mapping[str, str] | None = None
    ) -> Self:
        """Start what `command` says; it is told the folder.

        Raises:
            TargetFailed: there is no such command.
        """
        folder = tempfile.TemporaryDirectory(prefix="parley-bench-", ignore_cleanup_errors=True)
        words, given = command(Path(folder.name)), environment or {}
        try:
            process = await _spawn(words, given, folder)
        except FileNotFoundError as error:
            folder.cleanup()
            raise TargetFailed(f"{words[0]} is not installed") from error
        except BaseException:
            folder.cleanup()
            raise
        return cls(words, given, folder, process)

    async def kill(self) -> None:
        """SIGKILL; returns when it is dead. `again` starts it anew."""
        self._process.kill()
        await self._process.wait()

    async def again(self) -> None:
        """Start the same command in the same folder once more."""
        self._process = await _spawn(self._words, self._environment, self._folder)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def folder(self) -> Path:
        """What is its own, with all that it keeps."""
        return Path(self._folder.name)

    async def come_up(self, is_up: Callable[[], Awaitable[_Found | None]], within_s: float) -> _Found:
        """Ask until it is up; what the question then found.

        Raises:
            TargetFailed: it ends, or it takes too long; the text holds its last words.
        """
        deadline = time.monotonic() + within_s
        while (found := await is_up()) is None:
            if self._process.returncode is not None or time.monotonic() > deadline:
                words = _log(self._folder).read_text(errors="replace")[-_LAST_WORDS:]
                raise TargetFailed(f"the server did not come up in {within_s:g} s:\n{words}")
            await asyncio.sleep(_ASKED_EVERY_S)
        return found

    async def stop(self) -> None:
        """Ask it to stop, make it, and remove the folder."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                async with asyncio.timeout(_STOPS_WITHIN_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._folder.cleanup()


async def _spawn(
    words: Sequence[str], environment: Mapping[str, str], folder: "tempfile.TemporaryDirectory[str]"
) -> asyncio.subprocess.Process:
    with _log(folder).open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *words,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=_die_with_parent,
        )


def _log(folder: "tempfile.TemporaryDirectory[str]") -> Path:
    return Path(folder.name) / "server.log"


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
