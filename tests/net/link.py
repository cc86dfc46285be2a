"""A namespace behind a bad network: two TUN devices and the relay process between them."""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.net.namespace import MACHINE, Namespace, namespace
from tests.net.shaper import Conditions, Report

_ROOT = Path(__file__).parents[2]
_numbers = itertools.count(os.getpid() % 64 * 4)


@dataclass(frozen=True, slots=True)
class Link:
    """The far side's namespace, and what lies between it and this machine."""

    far: Namespace
    near_ip: str
    far_ip: str
    relay: asyncio.subprocess.Process

    async def shape(self, *, up: Conditions | None = None, down: Conditions | None = None) -> None:
        """Change what the network does. `up`: from the far side to here; None leaves a way alone."""
        ways = {"up": up, "down": down}
        await self._say({name: _fields(way) for name, way in ways.items() if way is not None})

    async def report(self) -> tuple[Report, Report]:
        """What passed since the last call: (up, down)."""
        await self._say({"report": True})
        assert self.relay.stdout is not None
        answer = json.loads(await self.relay.stdout.readline())
        return _report(answer["up"]), _report(answer["down"])

    async def _say(self, command: dict[str, Any]) -> None:
        assert self.relay.stdin is not None
        self.relay.stdin.write(json.dumps(command).encode() + b"\n")
        await self.relay.stdin.drain()


def _fields(conditions: Conditions) -> dict[str, Any]:
    return {**dataclasses.asdict(conditions), "blocked": sorted(conditions.blocked)}


def _report(fields: dict[str, Any]) -> Report:
    return Report(**{**fields, "queued_s": tuple(fields["queued_s"])})


@contextlib.asynccontextmanager
async def link() -> AsyncIterator[Link]:
    """A namespace joined to this machine by a relay, at first a perfect one. Needs root.

    Raises:
        NamespaceUnavailableError: not root, or no iproute2.
    """
    number = next(_numbers) % 256
    near_ip, far_ip = f"10.77.{number}.1", f"10.77.{number}.2"
    near_device, far_device = f"pyn{number}", "net0"
    with namespace(f"parley{os.getpid()}-{number}") as far, contextlib.ExitStack() as stack:
        near_fd = MACHINE.tun(near_device)
        stack.callback(os.close, near_fd)
        far_fd = far.tun(far_device)
        stack.callback(os.close, far_fd)
        MACHINE.ip("addr", "add", f"{near_ip}/30", "dev", near_device)
        far.ip("addr", "add", f"{far_ip}/30", "dev", far_device)
        MACHINE.ip("link", "set", near_device, "up")
        far.ip("link", "set", far_device, "up")
        # Without a default route Firefox gathers no candidate.
        far.ip("route", "add", "default", "via", near_ip)
        relay = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.net.relay",
            str(near_fd),
            str(far_fd),
            cwd=_ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(near_fd, far_fd),
            limit=8 * 1024 * 1024,
        )
        try:
            yield Link(far, near_ip, far_ip, relay)
        finally:
            assert relay.stdin is not None
            relay.stdin.close()
            try:
                await asyncio.wait_for(relay.wait(), 5)
            except TimeoutError:
                relay.kill()
                await relay.wait()
