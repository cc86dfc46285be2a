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
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

from tests.net.namespace import MACHINE, Namespace, namespace
from tests.net.nat import Nat
from tests.net.shaper import Conditions, Report

_FAR_DEVICE = "net0"
_ROOT = Path(__file__).parents[2]
_numbers = itertools.count(os.getpid() % 64 * 4)


@dataclass(frozen=True, slots=True)
class Link:
    """The far side's namespace, and what lies between it and this machine."""

    far: Namespace
    near_ip: str
    far_ip: str
    near_ip6: str
    far_ip6: str
    spare_ip: str
    """Another address of this side."""
    relay: asyncio.subprocess.Process

    async def shape(self, *, up: Conditions | None = None, down: Conditions | None = None) -> None:
        """Change what the network does. `up`: from the far side to here; None leaves a way alone."""
        ways = {"up": up, "down": down}
        await self._say({name: _fields(way) for name, way in ways.items() if way is not None})

    async def translate(self, nat: Nat) -> None:
        """Put another NAT between the sides."""
        await self._say({"nat": dataclasses.asdict(nat)})

    def renumber(self, host: int) -> str:
        """Give the far side another IPv4 address, as another network would; the address."""
        network = self.near_ip.rpartition(".")[0]
        self.far.ip("-4", "addr", "flush", "dev", _FAR_DEVICE)
        self.far.ip("addr", "add", f"{network}.{host}/24", "dev", _FAR_DEVICE)
        self.far.ip("route", "replace", "default", "via", self.near_ip)
        return f"{network}.{host}"

    def plug(self, *, is_in: bool) -> None:
        """Pull the far side's cable, or put it in again."""
        self.far.ip("link", "set", _FAR_DEVICE, "up" if is_in else "down")
        if is_in:
            self.far.ip("route", "replace", "default", "via", self.near_ip)
            self.far.ip("addr", "replace", f"{self.far_ip6}/64", "dev", _FAR_DEVICE, "nodad")

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
    near_ip, far_ip, spare_ip = (f"10.77.{number}.{host}" for host in (1, 2, 3))
    near_ip6, far_ip6 = (str(IPv6Address(f"fd77:0:0:{number:x}::{host}")) for host in (1, 2))
    near_device = f"pyn{number}"
    with namespace(f"parley{os.getpid()}-{number}") as far, contextlib.ExitStack() as stack:
        near_fd = MACHINE.tun(near_device)
        stack.callback(os.close, near_fd)
        far_fd = far.tun(_FAR_DEVICE)
        stack.callback(os.close, far_fd)
        for side, device, addresses in (
            (MACHINE, near_device, (near_ip, spare_ip)),
            (far, _FAR_DEVICE, (far_ip,)),
        ):
            for address in addresses:
                side.ip("addr", "add", f"{address}/24", "dev", device)
            side.ip("addr", "add", f"{near_ip6 if side is MACHINE else far_ip6}/64", "dev", device, "nodad")
            side.ip("link", "set", device, "up")
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
            yield Link(far, near_ip, far_ip, near_ip6, far_ip6, spare_ip, relay)
        finally:
            assert relay.stdin is not None
            relay.stdin.close()
            try:
                await asyncio.wait_for(relay.wait(), 5)
            except TimeoutError:
                relay.kill()
                await relay.wait()
